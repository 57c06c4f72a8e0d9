"""What the toolkit asks of an architecture; `drqv2.py` is the example to follow."""

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

from vrlprobe.errors import SampleError


class Layered(Protocol):
    """A torch module whose layers have names: what activations are read of."""

    @property
    def encoder(self) -> Any:
        """Module that the (normalised) images enter."""

    @property
    def image_shape(self) -> tuple[int, ...]:
        """One observation's shape, (3 * frame_stack, height, width)."""

    @property
    def layers(self) -> Mapping[str, str]:
        """Layer name to the dotted path of the module whose output it is.

        `in:` before a path is what that module takes; "" is the input.
        """


class Agent(Layered, Protocol):
    """A torch module with these parts, registered under the entry point group `vrlprobe.agents`."""

    actor: Any
    """Module from features to the mean action."""
    critic: Any
    """Module from features and actions to values."""

    @property
    def pieces(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """What a transplant exchanges: `cnn`, `mlp` and `critic`, each a mapping from a piece to
        the beginnings of its tensors' names; every tensor is in one piece."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """An agent with blank networks, drawn from torch's global generator."""

    @classmethod
    def from_parameters(cls, config: Mapping[str, Any], tensors: Mapping[str, Any]) -> Self:
        """A checkpoint's agent; raises ValueError or KeyError where the two do not fit."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """Mean actions (n, n_actions) of stacked uint8 observations (n, *image_shape).

        Raises:
            SampleError: see `check_observations`.
        """


def check_observations(agent: Any, observations: Any) -> None:
    """Raise SampleError for observations that do not have the shape or type that an agent takes.

    Args:
        agent: what has an `image_shape`.
        observations: a NumPy array, or what has its `dtype` and `shape`.
    """
    needed = tuple(agent.image_shape)
    dtype, shape = getattr(observations, "dtype", None), getattr(observations, "shape", ())
    if dtype != np.uint8 or shape[1:] != needed:
        kind = dtype if isinstance(dtype, np.dtype) else type(observations).__name__
        raise SampleError(
            f"the agent takes NumPy uint8 observations (n_samples, "
            f"{', '.join(map(str, needed))}), the samples are {kind} {tuple(shape)}"
        )
    if not observations.shape[0]:
        raise SampleError("no observations for the agent to see: the samples are empty")
