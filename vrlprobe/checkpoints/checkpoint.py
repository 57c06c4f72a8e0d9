"""What is read of a stranger's checkpoint: an agent's parameters, and what made it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vrlprobe.errors import FormatError
from vrlprobe.runs.architectures import architecture

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Checkpoint:
    """An agent out of a file.

    Attributes:
        kind: what the file is, in words.
        config: `architecture` and the sizes of its networks, as in a run's config.
        parameters: by 'part/name', float32.
        steps: agent steps trained, where the file says so.
        noise: standard deviation and clipping of the exploration noise, where they are known.
        action_repeat: environment frames a step lasts, unless it is known better.
        render: how the images were made that it was trained on, as in a run's config.
        notes: what of the file was left out, in words.
    """

    kind: str
    config: Mapping[str, Any]
    parameters: Arrays
    steps: int | None = None
    notes: tuple[str, ...] = ()
    noise: tuple[float, float] | None = None
    action_repeat: int = 1
    render: str = "full"

    def agent(self) -> Any:
        """The networks."""
        return architecture(self.config, self.kind).from_parameters(self.config, self.parameters)


def check_fit(config: Mapping[str, Any], parameters: Arrays, where: str) -> None:
    """Hold parameters against the architecture and sizes that a config states.

    Raises:
        FormatError: a tensor is missing, or there is one too many, or one has another shape, or
            holds NaN or infinity.
    """
    kind = architecture(config, where)
    needed = _shapes(kind, config, where)
    parts = {name.split("/")[0] for name in parameters}
    wanted = {name: shape for name, shape in needed.items() if name.split("/")[0] in parts}
    begin = f"{where} does not fit the architecture {config['architecture']}"
    for name, shape in wanted.items():
        if name not in parameters:
            raise FormatError(f"{begin}: it has no {name}, needed {shape}")
        if (found := parameters[name].shape) != shape:
            raise FormatError(f"{begin}: {name} is {found}, needed {shape}")
    for name, array in parameters.items():
        if name not in wanted:
            raise FormatError(f"{begin}: {name} {array.shape} is no layer of it")
        if not np.isfinite(array).all():
            raise FormatError(f"{where}: {name} holds NaN or infinity: the training diverged")


def _shapes(kind: Any, config: Mapping[str, Any], where: str) -> dict[str, tuple[int, ...]]:
    """The architecture's tensors, without taking memory for them."""
    try:
        with torch.device("meta"):
            named = kind.from_config(config).named_tensors()
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise FormatError(f"{where}: {str(error).splitlines()[0][:200]}") from None
    return {name: tuple(tensor.shape) for name, tensor in named.items()}


def shape_of(arrays: Arrays, name: str, n_axes: int, where: str) -> tuple[int, ...]:
    """A tensor's shape; raises FormatError where it is missing or has another number of axes."""
    if name not in arrays:
        raise FormatError(f"{where}: no {name}, so it is no agent known here")
    shape: tuple[int, ...] = arrays[name].shape
    if len(shape) != n_axes or not math.prod(shape):
        raise FormatError(f"{where}: {name} is {shape}, needed {n_axes} axes")
    return shape
