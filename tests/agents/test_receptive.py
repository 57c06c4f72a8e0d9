"""Receptive fields against the pixels that really move an activation."""

import numpy as np
import pytest
import torch

from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.agents.receptive import receptive_fields
from vrlprobe.errors import UnknownLayerError

CONFIG = {
    "image_size": 24, "channels": 3, "feature_dim": 5, "hidden_dim": 8, "action_dim": 2,
    "activation": "leaky_relu",
}  # fmt: skip


@pytest.fixture(scope="module")
def agent():
    torch.manual_seed(0)
    return DrQV2Agent.from_config(CONFIG)


@pytest.mark.parametrize("layer", ["cnn1", "cnn2", "cnn3", "cnn4"])
def test_a_unit_moves_with_the_pixels_of_its_box_alone(agent, layer) -> None:
    found = receptive_fields(agent, layer)
    unit = int(np.ravel_multi_index((1, 2, found.shape[2] - 2), found.shape))
    ((top, left, bottom, right),) = found.boxes([unit])
    image = torch.rand((1, 9, 24, 24), requires_grad=True)
    depth = 2 * int(layer[3])
    agent.encoder.convnet[:depth](image).flatten()[unit].backward()
    rows, columns = np.nonzero(image.grad[0].abs().sum(0).numpy())
    assert (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1) == (
        top, left, bottom, right,
    )  # fmt: skip
    assert found.channels([unit]).tolist() == [1]


def test_sizes_at_the_published_architecture(agent) -> None:
    sizes = [receptive_fields(agent, f"cnn{i}").size[0] for i in range(5)]
    assert sizes == [1, 3, 7, 11, 15]  # a stride of 2, then three of 1, all 3 x 3


def test_a_pixel_sees_itself(agent) -> None:
    assert receptive_fields(agent, "cnn0").boxes([24 * 5 + 7]).tolist() == [[5, 7, 6, 8]]


def test_layers_without_a_place(agent) -> None:
    with pytest.raises(
        UnknownLayerError, match="mlp1 have no place in the image: take one of cnn0"
    ):
        receptive_fields(agent, "mlp1")
    with pytest.raises(UnknownLayerError, match="no layer 'cnn7'"):
        receptive_fields(agent, "cnn7")
