"""Turns the arguments of a commit into what goes into each dataset's new row, checking all."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.schema import FRAME, STRETCH, Layout, to_json

Pieces = list[tuple[tuple[int | slice, ...], NDArray[Any]]]  # where in the row, and what


def parameter_rows(layout: Layout, parameters: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The parameters as arrays, in the layout's order; raises FormatError on any difference."""
    _same_names("parameters", parameters, layout.parameters)
    return {
        name: _checked(f"parameter {name!r}", parameters[name], shape, np.float32)
        for name, shape in layout.parameters.items()
    }


def rollout_rows(layout: Layout, episodes: Sequence[Episode]) -> dict[str, Pieces]:
    """The episodes by dataset path, each at its place; what is not recorded takes no space."""
    if len(episodes) > layout.max_episodes:
        raise FormatError(f"{len(episodes)} episodes; the run holds at most {layout.max_episodes}")
    if not layout.max_episodes:
        return {}
    names = ("images", "actions", "states", "physics", "rewards")
    table: dict[str, Pieces] = {f"rollouts/{name}": [] for name in names}
    length = np.zeros(layout.max_episodes, np.int32)
    n_images = np.zeros(layout.max_episodes, np.int32)
    for i, episode in enumerate(episodes):
        arrays = _episode_arrays(layout, f"episode {i}", episode)
        for name, array in arrays.items():
            table[f"rollouts/{name}"].append(((i, slice(0, len(array))), array))
        length[i], n_images[i] = len(episode), len(arrays.get("images", ()))
    return {**table, "rollouts/length": [((), length)], "rollouts/n_images": [((), n_images)]}


def _episode_arrays(layout: Layout, what: str, episode: Episode) -> dict[str, NDArray[Any]]:
    n = len(episode)
    if not 0 < n <= layout.max_steps:
        raise FormatError(f"{what} has {n} steps; the run holds 1 to {layout.max_steps}")
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "actions": ((n, layout.n_actions), np.float32),
        "rewards": ((n,), np.float32),
        "states": ((n + 1, len(layout.components)), np.float64),
        "physics": ((n + 1, layout.physics_dim), np.float64),
    }
    if episode.images is not None:
        if layout.image_shape is None:
            raise FormatError(f"{what} has images, but the run was created without image_shape")
        wanted["images"] = ((n + 1, *layout.image_shape), np.uint8)
    return {
        name: _checked(f"{what}: {name}", getattr(episode, name), shape, dtype)
        for name, (shape, dtype) in wanted.items()
        if math.prod(shape)
    }


def batch_rows(layout: Layout, batch: tuple[Any, Any] | None) -> dict[str, Pieces]:
    """The stored batch by dataset path."""
    if not layout.batch_size:
        if batch is not None:
            raise FormatError("the run was created without batch_size, so it holds no batch")
        return {}
    table: dict[str, Pieces] = {"batch/observations": [], "batch/noise": []}
    n = len(batch[0]) if batch is not None else 0
    if n > layout.batch_size:
        raise FormatError(f"a batch of {n}; the run holds at most {layout.batch_size}")
    if batch is not None:
        channels, height, width = layout.image_shape or (0, 0, 0)
        shape = (n, layout.frame_stack * channels, height, width)
        observations = _checked("the batch's observations", batch[0], shape, np.uint8)
        noise = _checked("the batch's noise", batch[1], (n, layout.n_actions), np.float32)
        whole = (slice(0, n),)
        table = {"batch/observations": [(whole, observations)], "batch/noise": [(whole, noise)]}
    return {**table, "batch/size": [((), np.array([n], np.int32))]}


def log_rows(layout: Layout, frame: int, log: Mapping[str, Any]) -> dict[str, Pieces]:
    """The log entries by dataset path, NaN where one is left out; the frame comes last."""
    if unknown := sorted(set(log) - set(layout.log)):
        raise FormatError(f"log entry {unknown[0]!r} was not declared when the run was created")
    table: dict[str, Pieces] = {}
    for name, dims in layout.log.items():
        shape = tuple(len(layout.coords[dim]) for dim in dims)
        value = log.get(name)
        try:
            array = np.full(shape, np.nan) if value is None else as_array(value).astype(np.float64)
        except (TypeError, ValueError):
            raise FormatError(f"log entry {name!r} is not a number: {value!r}") from None
        table[f"log/{name}"] = [((), _checked(f"log entry {name!r}", array, shape, np.float64))]
    return {**table, FRAME: [((), np.asarray(frame, np.int64))]}


def stretch_rows(layout: Layout, stretch: Mapping[str, Any] | None) -> dict[str, Pieces]:
    """What made the checkpoint, as JSON padded with zeros, by dataset path."""
    if not layout.stretch_bytes:
        if stretch:
            raise FormatError("the run was created without stretch_bytes, so it holds no stretch")
        return {}
    blob = to_json(stretch or {}, "the stretch")
    if len(blob) > layout.stretch_bytes:
        raise FormatError(
            f"the stretch takes {len(blob)} bytes as JSON; the run holds {layout.stretch_bytes}"
        )
    row = np.zeros(layout.stretch_bytes, np.uint8)
    row[: len(blob)] = np.frombuffer(blob, np.uint8)
    return {STRETCH: [((), row)]}


def check_frame(frame: int, last: int | None) -> None:
    """Raises FormatError unless `frame` is a whole number after the last one."""
    if isinstance(frame, bool) or not isinstance(frame, int | np.integer) or frame < 0:
        raise FormatError(f"a frame is a whole number from 0, not {frame!r}")
    if last is not None and frame <= last:
        raise FormatError(f"frame {frame} does not come after the last one, {last}")


def as_array(value: Any) -> NDArray[Any]:
    """An array of anything array-like, a torch tensor included (wherever it lives)."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _checked(what: str, value: Any, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    array = as_array(value)
    if array.shape != shape:
        raise FormatError(f"{what} has shape {array.shape}; the run holds {shape}")
    if array.dtype != np.dtype(dtype):
        raise FormatError(f"{what} is {array.dtype}; the run holds {np.dtype(dtype)}")
    return array


def _same_names(what: str, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if missing := [name for name in wanted if name not in given]:
        raise FormatError(f"{what}: {missing[0]!r} is missing ({len(missing)} in all)")
    if extra := [name for name in given if name not in wanted]:
        raise FormatError(f"{what}: {extra[0]!r} is not in the run ({len(extra)} such in all)")
