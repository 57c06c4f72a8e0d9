"""ReLU by bits against torch's."""

import pytest
import torch
from torch import nn

from vrltrain.relu import is_by_bits, relu_by_bits_

EDGES = (0.0, -0.0, 1e-39, -1e-39, float("inf"), -float("inf"), 3.4e38, -3.4e38)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_torchs(layout: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(2, 16, 5, 7, generator=generator)
    inputs.view(-1)[: len(EDGES)] = torch.tensor(EDGES)
    upstream = torch.randn(inputs.shape, generator=generator).to(torch.bfloat16)
    found = []
    for relu in (relu_by_bits_, nn.ReLU(inplace=True)):
        leaf = inputs.to(torch.bfloat16).contiguous(memory_format=layout).requires_grad_()
        maps = relu(leaf * 1)  # what is changed in place cannot be a leaf
        found.append((maps, *torch.autograd.grad(maps, leaf, upstream)))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


def test_it_works_in_place() -> None:
    maps = torch.tensor([-1.0, 2.0], dtype=torch.bfloat16)
    assert relu_by_bits_(maps) is maps
    assert maps.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("module", "dtype", "expected"),
    [
        (nn.ReLU(), torch.bfloat16, True),
        (nn.ReLU(), torch.float32, False),
        (nn.LeakyReLU(), torch.bfloat16, False),
        (nn.Conv2d(1, 1, 1), torch.bfloat16, False),
    ],
)
def test_when_it_does_what_a_module_does(
    module: nn.Module, dtype: torch.dtype, expected: bool
) -> None:
    assert is_by_bits(module, torch.zeros(1, dtype=dtype)) is expected
