"""Rollouts out of an npz file, for environments that are not played here."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import SampleError
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.paths import no_such_file

RESERVED = ("images", "lengths", "episode", "actions", "rewards")


@dataclass(frozen=True)
class Recorded:
    """Episodes of an environment, as an npz file gives them.

    Attributes:
        episodes: with rewards of NaN where the file has none.
        components: names of the columns of their states.
        frame_stack: single images in what the agent sees; 1 where the file's are stacked already.
    """

    episodes: Sequence[Episode]
    components: tuple[str, ...]
    frame_stack: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        images = self.episodes[0].images
        assert images is not None
        _, channels, height, width = images.shape
        return channels, height, width


def load_observations(path: Path, observed: tuple[int, ...]) -> Recorded:
    """Read episodes from an npz file.

    It holds `images`, uint8 (n, channels, height, width) or channels last or without channels, in
    the order of time, episode after episode, either single ones or stacked as the agent sees them;
    `lengths` (n_episodes,), images in each episode, or `episode` (n,), a number for each image that
    changes from one episode to the next; and one or more components of the state, every other
    array, (n,) or (n, k) for `name[0]` … `name[k-1]`. It may hold `rewards` (n,) and `actions`
    (n, n_actions), what followed each image; an episode's last ones are not used.

    Args:
        path: the file.
        observed: what the agent takes, (channels of a stack, height, width).

    Raises:
        SampleError: it is no such file, or its arrays do not fit each other or the agent.
    """
    arrays = _arrays(path)
    images = _images(path, arrays, observed)
    bounds = np.cumsum([0, *_lengths(path, arrays, len(images))])
    states, components = _states(path, arrays, len(images))
    actions = _numbers(path, arrays, "actions", len(images), np.zeros((len(images), 0)))
    rewards = _numbers(path, arrays, "rewards", len(images), np.full(len(images), np.nan))
    if actions.ndim != 2 or rewards.ndim != 1:
        raise SampleError(f"{path}: needed rewards (n,) and actions (n, n_actions)")
    episodes = [
        Episode(
            images=images[first:end],
            actions=actions[first : end - 1].astype(np.float32),
            rewards=rewards[first : end - 1].astype(np.float32),
            states=states[first:end],
            physics=np.zeros((end - first, 0)),
        )
        for first, end in pairwise(bounds)
    ]
    return Recorded(episodes, components, observed[0] // images.shape[1])


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise SampleError(no_such_file(path))
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with file:
            return dict(file)
    except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, AttributeError) as e:
        unsafe = "allow_pickle" in str(e)  # numpy's text says how to load it all the same
        told = "it is another file, or holds pickled objects" if unsafe else str(e)
        raise SampleError(f"{path}: not an npz file of plain arrays: {told}") from None


def _images(
    path: Path, arrays: Mapping[str, NDArray[Any]], observed: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The images (n, channels, height, width), whichever way round they were."""
    found = arrays.get("images", np.zeros(0))
    height, width = observed[1:]
    turned = found
    if found.ndim == 3:
        turned = found[:, None]
    elif found.ndim == 4 and found.shape[1:3] == (height, width) != found.shape[2:]:
        turned = found.transpose(0, 3, 1, 2)
    fits = turned.ndim == 4 and turned.shape[2:] == (height, width) and turned.shape[1]
    if not fits or observed[0] % turned.shape[1] or found.dtype != np.uint8 or not len(found):
        told = f"{found.dtype} {found.shape}" if "images" in arrays else "missing"
        raise SampleError(
            f"{path}: needed `images`, uint8 (n, channels, {height}, {width}) of which a stack has "
            f"{observed[0]} channels; they are {told}"
        )
    return np.ascontiguousarray(turned)


def _lengths(path: Path, arrays: Mapping[str, NDArray[Any]], total: int) -> list[int]:
    """Images in each episode."""
    if ("lengths" in arrays) == ("episode" in arrays):
        raise SampleError(
            f"{path}: needed either `lengths`, images in each episode, or `episode`, the number of "
            "each image's episode"
        )
    if "lengths" in arrays:
        lengths = np.ravel(arrays["lengths"])
    else:
        ids = _numbers(path, arrays, "episode", total, np.zeros(0)).ravel()
        changes = np.flatnonzero(np.diff(ids)) + 1
        lengths = np.diff([0, *changes, total])
        if len(np.unique(ids)) != len(lengths):
            raise SampleError(f"{path}: `episode` comes back to an episode that had ended")
    if lengths.dtype.kind not in "iu":
        raise SampleError(f"{path}: `lengths` is {lengths.dtype}, needed whole numbers")
    found: list[int] = lengths.tolist()
    if sum(found) != total or min(found, default=2) < 2:
        raise SampleError(
            f"{path}: episodes of {', '.join(map(str, found[:5]))} … images do not make up the "
            f"{total} there are, each with two or more"
        )
    return found


def _states(
    path: Path, arrays: Mapping[str, NDArray[Any]], total: int
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    columns: list[NDArray[np.float64]] = []
    names: list[str] = []
    for name in arrays:
        if name in RESERVED:
            continue
        values = _numbers(path, arrays, name, total, np.zeros(0)).astype(np.float64)
        if values.ndim > 2 or not np.isfinite(values).all():
            raise SampleError(f"{path}: component `{name}` needs finite numbers, (n,) or (n, k)")
        columns.append(values.reshape(total, -1))
        names += [name] if values.ndim == 1 else [f"{name}[{i}]" for i in range(values.shape[1])]
    if odd := [name for name in names if not name.isprintable() or names.count(name) > 1]:
        raise SampleError(f"{path}: component {odd[0]!a} is there twice, or no plain name")
    if not names:
        raise SampleError(f"{path}: no component of the state: needed an array for each, (n,)")
    return np.concatenate(columns, axis=1), tuple(names)


def _numbers(
    path: Path, arrays: Mapping[str, NDArray[Any]], name: str, total: int, default: NDArray[Any]
) -> NDArray[Any]:
    """An array with a row for each image; the default where it is not there."""
    values = arrays.get(name, default)
    if name in arrays and (
        values.ndim < 1 or len(values) != total or values.dtype.kind not in "biuf"
    ):
        raise SampleError(
            f"{path}: `{name}` is {values.dtype} {values.shape}, needed numbers for {total} images"
        )
    return values
