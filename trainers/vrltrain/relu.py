"""ReLU of bfloat16 maps by their bits, several times faster on a processor.

A processor has no maximum of bfloat16 numbers: torch converts them to float32 and back. Read as
16-bit integers they have the same signs, and of those a processor takes maxima directly.
"""

from typing import Any

import torch
from torch import Tensor, nn


def is_by_bits(module: nn.Module, maps: Tensor) -> bool:
    """Whether `relu_by_bits_` does what the module does, and faster."""
    is_bfloat16 = maps.dtype == torch.bfloat16 and maps.device.type == "cpu"
    return is_bfloat16 and isinstance(module, nn.ReLU)


def relu_by_bits_(maps: Tensor) -> Tensor:
    """ReLU in place, bit for bit torch's with its gradient, but that a negative NaN becomes 0.

    Args:
        maps: bfloat16 of any shape and layout; itself the result.
    """
    result: Tensor = _ReLU.apply(maps)  # type: ignore[no-untyped-call]
    return result


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        maps.view(torch.int16).relu_()
        ctx.mark_dirty(maps)
        ctx.save_for_backward(maps)
        return maps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        bits, gradient = (each.view(torch.int16) for each in (*ctx.saved_tensors, *gradients))
        passed: Tensor = torch.ops.aten.threshold_backward(gradient, bits, 0)
        return passed.view(torch.bfloat16)
