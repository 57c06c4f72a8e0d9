"""Forward passes in which named layers are changed on their way: ablated, patched, projected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vrlprobe.agents.activations import PATCHED
from vrlprobe.agents.hooks import hook_layer
from vrlprobe.errors import SampleError, UnknownLayerError, did_you_mean

Edit = Callable[[Tensor, slice], Tensor]
"""Changes a layer: its activations (n_batch, n_features) and which samples they are of, to new
activations of that shape. The tensor that it is given stays as it is."""


def replaced(values: npt.ArrayLike, units: Sequence[int] | npt.NDArray[Any] | None = None) -> Edit:
    """Replace units by given activations.

    With the mean over samples this is mean ablation; with another agent's activations, or the
    agent's own for other observations, it is activation patching.

    Args:
        values: a number, (n_features,) for every sample alike, or (n_samples, n_features); of the
            whole layer, of which the units' columns are taken.
        units: positions in the layer; all if None.

    Raises:
        SampleError: (when it is used) the values are none for these samples or this layer.
    """
    given = torch.as_tensor(np.asarray(values, np.float32))
    chosen = None if units is None else torch.as_tensor(np.asarray(units, np.int64))

    def edit(found: Tensor, rows: slice) -> Tensor:
        new = given.to(found.device, found.dtype)
        match new.ndim:
            case 0:
                new = new.expand(found.shape)
            case 1:
                new = new.expand(len(found), -1)
            case _:
                new = new[rows]
        if new.shape != found.shape:
            raise SampleError(
                f"the layer has {found.shape[1]} units for {len(found)} samples from {rows.start} "
                f"on, the activations to put there are {tuple(given.shape)}"
            )
        if chosen is None:
            return new.clone()  # a module behind may work in place
        result = found.clone()
        at = chosen.to(found.device)
        result[:, at] = new[:, at]
        return result

    return edit


def without_directions(directions: npt.ArrayLike, centre: npt.ArrayLike) -> Edit:
    """Take directions out: activations are projected on what is orthogonal to all of them.

    Args:
        directions: (n_features,) or (n_directions, n_features), of any length, independent.
        centre: (n_features,), where the projection leaves the activations, such as their mean.
    """
    rows = np.atleast_2d(np.asarray(directions, np.float64))
    basis = torch.from_numpy(np.linalg.qr(rows.T)[0])
    middle = torch.from_numpy(np.asarray(centre, np.float64))

    def edit(found: Tensor, _: slice) -> Tensor:
        axes, mean = basis.to(found.device), middle.to(found.device)
        along = (found.double() - mean) @ axes
        return (found.double() - along @ axes.T).to(found.dtype)

    return edit


def with_direction(direction: npt.ArrayLike) -> Edit:
    """Add one vector (n_features,) to the activations of every sample."""
    step = torch.as_tensor(np.asarray(direction, np.float32))
    return lambda found, _: found + step.to(found.device, found.dtype)


@contextmanager
def patched(agent: Any, edits: Mapping[str, Edit]) -> Iterator[None]:
    """Change named layers in every forward pass of the block; the agent is left as it was.

    Whatever runs the agent works as usual, `agent.act` and `extract_activations` among it; a layer
    that is read shows what was put there. Samples are counted from the beginning of the block.

    Args:
        agent: a torch module with a table of named layers.
        edits: layer to its change; `replaced`, `without_directions` and `with_direction` make some.

    Raises:
        UnknownLayerError: no such layer.
        SampleError: an edit gives activations of another shape.
    """
    for name in edits:
        if name not in agent.layers:
            guess = did_you_mean(name, agent.layers)
            raise UnknownLayerError(
                f"no layer {name!r}: {guess}there are {', '.join(agent.layers)}"
            )
    with ExitStack() as stack:
        for name, edit in edits.items():
            stack.callback(hook_layer(agent, name, _counted(name, edit)).remove)
        PATCHED.add(agent)
        stack.callback(PATCHED.discard, agent)
        yield


def _counted(name: str, edit: Edit) -> Callable[[Tensor], Tensor]:
    """An edit of a layer's tensor of any shape, which knows how many samples were there before."""
    seen = 0

    def change(value: Tensor) -> Tensor:
        nonlocal seen
        rows = slice(seen, seen + len(value))
        flat = value.reshape(len(value), -1)
        new = edit(flat, rows)
        if new.shape != flat.shape:
            raise SampleError(
                f"layer {name!r}: the edit gives {tuple(new.shape)}, needed {tuple(flat.shape)}"
            )
        seen = rows.stop
        return new.reshape(value.shape)

    return change
