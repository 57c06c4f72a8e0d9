"""Named layers of an agent as arrays, in batches: the input of every analysis."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vrlprobe._checks import as_list, check_at_least
from vrlprobe.agents.base import Layered, check_observations
from vrlprobe.agents.consumers import warn_of_functions
from vrlprobe.agents.hooks import hook_layer
from vrlprobe.agents.own import ModuleAgent
from vrlprobe.agents.parts import evaluating
from vrlprobe.device import device_of
from vrlprobe.errors import UnknownLayerError, did_you_mean

Activations = dict[str, npt.NDArray[np.float32]]

OUTPUT = "action"
"""Name of the layer that is the agent's output: what is done, not what is represented."""
BATCH_SIZE = 64
"""Observations in a forward pass: at the published size their activations fit a core's cache."""
FEW = 8
"""Observations that are passed again, to see whether a layer depends on them alone."""
ROUNDING = 0.05
"""Share of a layer's largest value by which two passes may differ: bfloat16 has three digits."""


class _Enough(Exception):
    """Every layer that was asked for has been seen: the rest of the forward is not needed."""


def known_layers(agent: Layered, layers: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """The layers asked for, or the one, in the agent's order; all of them when None.

    Raises:
        TypeError: no agent.
        UnknownLayerError: none, or a name that the agent's table does not have.
    """
    if not isinstance(getattr(agent, "layers", None), Mapping):
        raise TypeError(f"an agent is needed, such as run.agent(frame), not {type(agent).__name__}")
    table = tuple(agent.layers)
    wanted = table if layers is None else as_list(layers)
    if not wanted:
        raise UnknownLayerError(f"no layer is asked for: there are {', '.join(table)}")
    for name in wanted:
        if name not in table:
            guess = did_you_mean(name, table)
            raise UnknownLayerError(f"no layer {name!r}: {guess}there are {', '.join(table)}")
    return tuple(name for name in table if name in wanted)


def probed_layers(agent: Layered) -> tuple[str, ...]:
    """Every layer but the agent's output: cnn0, the raw image, to mlp2 (paper, section 4.1)."""
    return tuple(name for name in agent.layers if name != OUTPUT)


class Observations(Protocol):
    """Stacked uint8 observations, (n_samples, 3 * frame_stack, height, width): an array will do.

    Only runs of samples are asked for, so that they can be stacked as they are needed.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, part: slice, /) -> npt.NDArray[np.uint8]: ...


def extract_activations(
    agent: Layered,
    observations: Observations,
    layers: str | Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> Activations:
    """What the agent's layers hold for each observation.

    Args:
        agent: a torch module with a table of named layers.
        observations: stacked uint8 images, (n_samples, 3 * frame_stack, height, width).
        layers: names out of `agent.layers`; all of them if None.
        batch_size: observations in one forward pass; it bounds the memory beside the result.

    Returns:
        Layer name to float32 (n_samples, n_features), in the agent's order. Features are the
        layer's tensor flattened in C order (channel, row, column). Layers after the last one
        asked for are not computed.

    Raises:
        UnknownLayerError: the agent has no layer of that name, or its module gives no tensor, or
            complex numbers, does not run just once in a forward pass, gives no row for each
            observation, or other values when it sees the same observation again.
        SampleError: the observations do not have the shape or type that the agent takes, or
            there are none.
        ValueError: a batch of less than one.
    """
    names = known_layers(agent, layers)
    check_observations(agent, observations)
    found: Activations = {}

    def keep(name: str, rows: slice, values: Tensor) -> None:
        if name not in found:
            found[name] = np.empty((observations.shape[0], values.shape[1]), np.float32)
        found[name][rows] = values.cpu().numpy()

    _forward(agent, observations, names, batch_size, keep)
    return {name: found[name] for name in names}


def feature_major_activations(
    agent: Layered,
    observations: Observations,
    layers: str | Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Tensor]:
    """As `extract_activations`, but float32 tensors (n_features, n_samples) on the agent's device.

    Each unit's values lie side by side, as the probes read them fastest; every batch goes to its
    place as it comes, so that nothing is held twice.
    """
    names = known_layers(agent, layers)
    check_observations(agent, observations)
    found: dict[str, Tensor] = {}

    def keep(name: str, rows: slice, values: Tensor) -> None:
        if name not in found:
            shape = values.shape[1], observations.shape[0]
            found[name] = torch.empty(shape, dtype=torch.float32, device=values.device)
        found[name][:, rows] = values.T

    _forward(agent, observations, names, batch_size, keep)
    return {name: found[name] for name in names}


def _forward(
    agent: Any,
    observations: Observations,
    names: tuple[str, ...],
    batch_size: int,
    keep: Callable[[str, slice, Tensor], None],
) -> None:
    """Hand every layer's float32 (n_batch, n_features) to ``keep``, with the rows it is for.

    At once: the next module may work in place on the tensor that ``keep`` was given. The first
    pass runs to its end, so that a module which runs again is found out whichever layers are asked
    for; the others stop at the last of the layers.
    """
    check_at_least(1, batch_size=batch_size)
    total = observations.shape[0]
    device = device_of(agent)

    def batch(rows: slice) -> Tensor:
        return torch.from_numpy(np.array(observations[rows], order="C")).to(device)

    if agent not in PATCHED:
        _check_layers(agent, batch(slice(0, min(total, FEW))), names)
    for start in range(0, total, batch_size):
        rows = slice(start, min(start + batch_size, total))

        def keep_rows(name: str, values: Tensor, rows: slice = rows) -> None:
            keep(name, rows, values)

        _pass(agent, batch(rows), names, keep_rows, to_the_end=not start)


def _pass(
    agent: Any,
    batch: Tensor,
    names: tuple[str, ...],
    keep: Callable[[str, Tensor], None],
    *,
    to_the_end: bool,
) -> None:
    """Hand every layer's float32 (n_batch, n_features) of one forward pass to ``keep``."""
    missing = set(names)

    def pass_on(name: str, value: Any) -> None:
        if name not in missing:
            raise UnknownLayerError(
                f"layer {name!r}: its module runs more than once in a forward pass: give each "
                "use a module of its own (torch.nn.Identity behind it will do)"
            )
        keep(name, _flat(name, value, len(batch)))
        missing.discard(name)
        if not missing and not to_the_end:
            raise _Enough

    with _hooked(agent, names, pass_on), suppress(_Enough):
        agent(batch)
    if missing:
        raise UnknownLayerError(
            f"layer {min(missing)!r}: its module does not run in a forward pass"
        )


PATCHED: weakref.WeakSet[nn.Module] = weakref.WeakSet()
"""Agents whose layers are being replaced, sample by sample: they are passed once."""


def _check_layers(agent: Any, batch: Tensor, names: tuple[str, ...]) -> None:
    """Refuse layers that depend on more than their observation; warn of functions behind them."""
    _check_repeats(agent, batch, names)
    if isinstance(agent, ModuleAgent):
        with torch.no_grad(), evaluating(agent):
            warn_of_functions(agent, batch[:2], names)


def _check_repeats(agent: Any, batch: Tensor, names: tuple[str, ...]) -> None:
    """Raise UnknownLayerError for a layer that is not a function of its observation.

    A few observations are passed twice, and half of them alone: a state that the network keeps,
    dropout as a function and statistics of the batch each show in one of the three.
    """
    first: dict[str, Tensor] = {}
    for count in (len(batch), len(batch), -(-len(batch) // 2)):
        found: dict[str, Tensor] = {}

        def keep(name: str, values: Tensor, found: dict[str, Tensor] = found) -> None:
            found[name] = values.clone()

        _pass(agent, batch[:count], names, keep, to_the_end=False)
        first = first or found
        for name in names:
            if not _alike(first[name][:count], found[name]):
                raise UnknownLayerError(
                    f"layer {name!r} has other values when the same observations are passed again "
                    "or in other batches, and must be a function of the observation: does the "
                    "network keep a state, or draw (F.dropout without training=self.training)?"
                )


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether values are equal but for the rounding of products, which depends on the batch."""
    scale = float(one.abs().nan_to_num(0, 0, 0).max()) if one.numel() else 0.0
    return torch.allclose(one, other, rtol=0, atol=ROUNDING * scale, equal_nan=True)


def _flat(name: str, value: Any, count: int) -> Tensor:
    """What a layer gives for so many observations, float32 (count, n_features).

    Raises:
        UnknownLayerError: no tensor, or one without a row for each.
    """
    if not isinstance(value, Tensor):
        raise UnknownLayerError(
            f"layer {name!r}: its module gives a {type(value).__name__}, needed a tensor"
        )
    if value.is_complex():
        raise UnknownLayerError(
            f"layer {name!r}: its module gives complex numbers, needed real ones: put a module "
            "behind it that gives their real and imaginary parts (torch.view_as_real), or moduli"
        )
    if value.shape[:1] != (count,):
        raise UnknownLayerError(
            f"layer {name!r}: its module gives {tuple(value.shape)} for {count} "
            "observations, needed a row for each"
        )
    return value.detach().float().reshape(len(value), -1)


@contextmanager
def _hooked(agent: Any, names: tuple[str, ...], keep: Callable[[str, Any], None]) -> Iterator[None]:
    """Hooks on the named layers for a forward pass without gradients; the agent is left as was."""
    with ExitStack() as stack, torch.no_grad(), evaluating(agent):
        for name in names:
            stack.callback(hook_layer(agent, name, partial(keep, name)).remove)
        yield
