"""Named layers of an agent as arrays, in batches: the input of every analysis."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vrlprobe.agents.base import Agent
from vrlprobe.errors import SampleError, UnknownLayerError

Activations = dict[str, npt.NDArray[np.float32]]

PROBED_LAYERS = ("cnn0", "cnn1", "cnn2", "cnn3", "cnn4", "mlp0", "mlp1", "mlp2")
"""The paper's layers, in order: cnn0 is the raw image, cnn4 the encoder's output (section 4.1)."""


class _Enough(Exception):
    """Every layer that was asked for has been seen: the rest of the forward is not needed."""


def known_layers(agent: Agent, layers: Iterable[str] | None = None) -> tuple[str, ...]:
    """The layers asked for in the agent's order; all of them when None.

    Raises:
        UnknownLayerError: a name that the agent's table does not have.
    """
    table = tuple(agent.layers)
    wanted = table if layers is None else tuple(layers)
    for name in wanted:
        if name not in table:
            near = difflib.get_close_matches(name, table, 1)
            guess = f"did you mean {near[0]}? " if near else ""
            raise UnknownLayerError(f"no layer {name!r}: {guess}there are {', '.join(table)}")
    return tuple(name for name in table if name in wanted)


def extract_activations(
    agent: Agent,
    observations: npt.NDArray[np.uint8],
    layers: Sequence[str] | None = None,
    batch_size: int = 256,
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
        UnknownLayerError: the agent has no layer of that name.
        SampleError: the observations do not have the shape or type that the agent takes, or
            there are none.
    """
    names = known_layers(agent, layers)
    _check_observations(agent, observations)
    found: Activations = {}
    with _captured(agent, names) as captured:
        for start in range(0, len(observations), batch_size):
            batch = observations[start : start + batch_size]
            captured.clear()
            _forward(agent, batch)
            for name in names:
                values = captured[name].float().flatten(1).numpy()
                if name not in found:
                    found[name] = np.empty((len(observations), values.shape[1]), np.float32)
                found[name][start : start + len(batch)] = values
    return found


def layer_sizes(agent: Agent, layers: Sequence[str] | None = None) -> dict[str, int]:
    """Number of features of each layer, from a forward pass of one black image."""
    blank = np.zeros((1, *agent.image_shape), np.uint8)
    return {
        name: values.shape[1] for name, values in extract_activations(agent, blank, layers).items()
    }


def _forward(agent: Any, batch: npt.NDArray[np.uint8]) -> None:
    with suppress(_Enough):
        agent(torch.from_numpy(np.ascontiguousarray(batch)))


@contextmanager
def _captured(agent: Any, names: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """Hooks on the named layers: a dict that each forward pass fills, the agent left as it was."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, value: Tensor) -> None:
        # A copy: the next module may work in place on this very tensor.
        seen[name] = value.detach().clone()
        if len(seen) == len(names):
            raise _Enough

    training = {module: module.training for module in agent.modules()}
    with ExitStack() as stack, torch.no_grad():
        for name in names:
            stack.callback(_hook(agent, name, keep).remove)
        agent.eval()
        try:
            yield seen
        finally:
            for module, mode in training.items():
                module.training = mode


def _hook(agent: Any, name: str, keep: Callable[[str, Tensor], None]) -> Any:
    """A hook that hands the layer's tensor on; the input layer is what enters the encoder."""
    path = agent.layers[name]
    if not path:
        encoder: nn.Module = agent.encoder
        return encoder.register_forward_pre_hook(lambda _, inputs: keep(name, inputs[0]))
    module: nn.Module = agent.get_submodule(path)
    return module.register_forward_hook(lambda _, __, output: keep(name, output))


def _check_observations(agent: Any, observations: npt.NDArray[np.uint8]) -> None:
    needed = tuple(agent.image_shape)
    if observations.dtype != np.uint8 or observations.shape[1:] != needed:
        raise SampleError(
            f"the agent takes uint8 observations (n_samples, {', '.join(map(str, needed))}), "
            f"the samples are {observations.dtype} {observations.shape}"
        )
    if not len(observations):
        raise SampleError("no observations to compute activations for: the samples are empty")
