"""Which pixels each activation of a convolutional layer sees."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vrlprobe.agents.activations import known_layers
from vrlprobe.agents.hooks import hook_layer
from vrlprobe.device import device_of
from vrlprobe.errors import UnknownLayerError

Boxes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReceptiveFields:
    """The squares of pixels that a layer's activations see, and where each of them lies."""

    shape: tuple[int, int, int]
    """Of the layer: channels, rows, columns."""
    size: tuple[int, int]
    """Height and width of a field in pixels."""
    step: tuple[int, int]
    """Pixels from one activation's field to the next one's, down and right."""
    start: tuple[int, int]
    """Top and left of the first field; negative where it reaches into the padding."""

    def boxes(self, units: npt.ArrayLike) -> Boxes:
        """Top, left, bottom, right (exclusive) of flat units (n,): (n, 4), cut to no image."""
        _, rows, columns = np.unravel_index(np.asarray(units, np.int64), self.shape)
        top = self.start[0] + self.step[0] * rows
        left = self.start[1] + self.step[1] * columns
        boxes: Boxes = np.stack([top, left, top + self.size[0], left + self.size[1]], axis=1)
        return boxes

    def channels(self, units: npt.ArrayLike) -> Boxes:
        """The channel of each flat unit (n,)."""
        found: Boxes = np.unravel_index(np.asarray(units, np.int64), self.shape)[0]
        return found


def receptive_fields(agent: Any, layer: str) -> ReceptiveFields:
    """Follow the convolutions and poolings in front of a layer, in the order of a forward pass.

    Raises:
        UnknownLayerError: no such layer, or one that has no rows and columns.
    """
    (name,) = known_layers(agent, [layer])
    if not agent.layers[name]:
        return ReceptiveFields(tuple(agent.image_shape), (1, 1), (1, 1), (0, 0))
    windows, shape = _windows(agent, name)
    if len(shape) != 3:
        placed = [other for other in agent.layers if other.startswith("cnn")]
        raise UnknownLayerError(
            f"the units of {layer} have no place in the image: take one of {', '.join(placed)}"
        )
    size, step, start = [1, 1], [1, 1], [0, 0]
    for window in windows:
        for axis in (0, 1):
            kernel, stride, padding, dilation = (
                _pair(value)[axis]
                for value in (window.kernel_size, window.stride, window.padding, window.dilation)
            )
            start[axis] -= step[axis] * padding
            size[axis] += step[axis] * dilation * (kernel - 1)
            step[axis] *= stride
    return ReceptiveFields(
        (shape[0], shape[1], shape[2]), (size[0], size[1]), (step[0], step[1]), (start[0], start[1])
    )


def _windows(agent: Any, name: str) -> tuple[list[Any], tuple[int, ...]]:
    """Convolutions and poolings run before a layer, and the layer's shape."""
    seen: list[Any] = []
    at_target: list[tuple[int, tuple[int, ...]]] = []

    def arrived(tensor: Tensor) -> None:
        at_target.append((len(seen), tuple(tensor.shape[1:])))

    moving = [m for m in agent.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    hooks = [
        module.register_forward_hook(lambda module, *_: seen.append(module)) for module in moving
    ]
    hooks.append(hook_layer(agent, name, arrived))
    try:
        with torch.no_grad():
            agent(torch.zeros((1, *agent.image_shape), dtype=torch.uint8, device=device_of(agent)))
    finally:
        for hook in hooks:
            hook.remove()
    count, shape = at_target[0]
    return seen[:count], shape


def _pair(value: Any) -> tuple[int, int]:
    found = tuple(value) if isinstance(value, tuple | list) else (value, value)
    return int(found[0]), int(found[1])
