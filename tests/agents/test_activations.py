"""Layers against a forward pass written out by hand."""

from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vrlprobe.agents.activations import (
    extract_activations,
    feature_major_activations,
    probed_layers,
)
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.agents.own import ModuleAgent
from vrlprobe.errors import SampleError, UnknownLayerError

SIZES = {
    "image_size": 20,
    "channels": 4,
    "feature_dim": 10,
    "hidden_dim": 16,
    "action_dim": 3,
}


@pytest.fixture
def agent():
    torch.manual_seed(0)
    agent = DrQV2Agent(**SIZES)
    for tensor in agent.named_tensors().values():
        tensor.data.add_(0.05 * torch.randn_like(tensor))
    return agent


@pytest.fixture
def observations():
    return np.random.default_rng(1).integers(0, 256, (7, 9, 20, 20), dtype=np.uint8)


def by_hand(agent, observations):
    """Every layer from the weights alone, as the publication's figure 1 draws them."""
    w = {name: tensor.detach() for name, tensor in agent.named_tensors().items()}

    def conv(x, at, stride):
        name = f"encoder/convnet.{at}"
        return F.relu(F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=stride))

    def linear(x, name):
        return F.linear(x, w[f"actor/{name}.weight"], w[f"actor/{name}.bias"])

    out = {"cnn0": torch.from_numpy(observations).float() / 255 - 0.5}
    for layer, at in enumerate((0, 2, 4, 6)):
        out[f"cnn{layer + 1}"] = conv(out[f"cnn{layer}"], at, 2 if at == 0 else 1)
    trunk = linear(out["cnn4"].flatten(1), "trunk.0")
    norm = F.layer_norm(trunk, (10,), w["actor/trunk.1.weight"], w["actor/trunk.1.bias"])
    out["mlp0"] = torch.tanh(norm)
    out["mlp1"] = F.relu(linear(out["mlp0"], "policy.0"))
    out["mlp2"] = F.relu(linear(out["mlp1"], "policy.2"))
    out["action"] = torch.tanh(linear(out["mlp2"], "policy.4"))
    return {name: value.flatten(1).numpy() for name, value in out.items()}


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_every_layer_equals_a_forward_pass_by_hand(agent, observations, batch_size):
    found = extract_activations(agent, observations, batch_size=batch_size)
    expected = by_hand(agent, observations)
    assert list(found) == [*probed_layers(agent), "action"]
    for name, values in found.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_layers_come_in_the_agents_order(agent, observations):
    assert list(extract_activations(agent, observations, ["mlp1", "cnn2"])) == ["cnn2", "mlp1"]


def test_a_module_that_works_in_place_does_not_change_the_layer_before_it(observations):
    class Raw(DrQV2Agent):
        layers: ClassVar = {"before": "encoder.convnet.0", "after": "encoder.convnet.1"}

    agent = Raw(**SIZES)
    agent.encoder.convnet[1].inplace = True
    found = extract_activations(agent, observations)
    assert found["before"].min() < 0
    np.testing.assert_array_equal(np.maximum(found["before"], 0), found["after"])


def test_only_the_first_forward_goes_beyond_the_last_layer_asked_for(
    agent, observations, monkeypatch
):
    calls = []
    forward = agent.actor.forward
    monkeypatch.setattr(agent.actor, "forward", lambda *x: calls.append(x) or forward(*x))
    extract_activations(agent, observations, ["cnn0", "cnn4"], batch_size=2)
    assert len(observations) > 2
    assert len(calls) == 1


@pytest.mark.parametrize("layers", [["used"], ["used", "last"], None])
def test_a_module_that_runs_twice_is_no_layer(layers):
    act = nn.ReLU()
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), act, nn.Linear(4, 4), act)
    agent = ModuleAgent(network, {"used": "2", "last": "3"}, (3, 2, 2))
    with pytest.raises(UnknownLayerError, match="layer 'used': its module runs more than once"):
        extract_activations(agent, np.zeros((5, 3, 2, 2), np.uint8), layers, batch_size=2)


def test_modules_that_do_not_run_or_give_no_tensor():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.spare, self.memory = nn.Linear(1, 1), nn.LSTM(4, 3)

        def forward(self, images):
            return self.memory(images.flatten(1))[0]

    images = np.zeros((2, 1, 2, 2), np.uint8)
    for name, words in (("spare", "does not run"), ("memory", "gives a tuple, needed a tensor")):
        agent = ModuleAgent(Network(), {name: name}, (1, 2, 2))
        with pytest.raises(UnknownLayerError, match=f"layer '{name}': its module {words}"):
            extract_activations(agent, images)


def test_the_agent_is_left_as_it_was(agent, observations):
    agent.train()
    agent.actor.eval()
    extract_activations(agent, observations, ["mlp0"])
    assert agent.training
    assert agent.encoder.training
    assert not agent.actor.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in agent.modules())
    assert agent(torch.from_numpy(observations)).requires_grad


def test_an_unknown_layer_names_those_there_are(agent, observations):
    with pytest.raises(UnknownLayerError, match=r"no layer 'cnn5'.*cnn0, cnn1, .*mlp2, action"):
        extract_activations(agent, observations, ["cnn5"])
    with pytest.raises(UnknownLayerError, match="no layer 3: there are cnn0"):
        extract_activations(agent, observations, [3])


def test_what_is_no_agent(observations):
    with pytest.raises(TypeError, match=r"an agent is needed, .*, not Linear"):
        extract_activations(nn.Linear(2, 2), observations)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 9, 20, 21), np.uint8),
        np.zeros((2, 3, 20, 20), np.uint8),
        np.zeros((2, 9, 20, 20), np.float32),
        np.zeros((9, 20, 20), np.uint8),
        torch.zeros((2, 9, 20, 20), dtype=torch.uint8),
        [[0, 1], [2, 3]],
    ],
)
def test_observations_of_another_shape_name_both(agent, wrong):
    with pytest.raises(
        SampleError, match=r"takes NumPy uint8 .*9, 20, 20\), the samples are \w+ \("
    ):
        extract_activations(agent, wrong)
    with pytest.raises(
        SampleError, match=r"takes NumPy uint8 .*9, 20, 20\), the samples are \w+ \("
    ):
        agent.act(wrong)


def test_observations_in_any_order(agent, observations):
    reverse = observations[::-1]
    np.testing.assert_allclose(agent.act(reverse)[::-1], agent.act(observations), atol=1e-6)
    forward = extract_activations(agent, observations, "mlp1")["mlp1"]
    backward = extract_activations(agent, reverse, "mlp1")["mlp1"]
    np.testing.assert_allclose(backward[::-1], forward, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, not 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be a whole number"),
        ({"layers": []}, UnknownLayerError, "no layer is asked for: there are cnn0"),
    ],
)
def test_what_cannot_be_asked_for(agent, observations, options, error, text):
    with pytest.raises(error, match=text):
        extract_activations(agent, observations, **options)


def test_no_observations(agent):
    for asked in (lambda none: extract_activations(agent, none), agent.act):
        with pytest.raises(SampleError, match="empty"):
            asked(np.zeros((0, 9, 20, 20), np.uint8))


def test_feature_major_is_the_transpose(agent, observations):
    rows = extract_activations(agent, observations, batch_size=3)
    columns = feature_major_activations(agent, observations, batch_size=3)
    assert list(columns) == list(rows)
    for name, values in columns.items():
        assert values.is_contiguous()
        np.testing.assert_array_equal(values.numpy().T, rows[name])
