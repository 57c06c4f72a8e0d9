"""Pickled agents come back as the networks that were pickled."""

import typing

import numpy as np
import pytest
import torch
from torch import nn

from tests.checkpoints.strangers import ALIXAgent, DrQV2Agent, pretended, save
from vrlprobe.checkpoints.reading import read_checkpoint
from vrlprobe.errors import FormatError


@pytest.fixture
def observations():
    return np.random.default_rng(0).integers(0, 256, (8, 9, 20, 20), dtype=np.uint8)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "stream"])
@pytest.mark.parametrize("module", ["drqv2", "agents.drqv2", "algos.drqv2"])
def test_it_acts_as_the_original(tmp_path, observations, module, legacy):
    original = DrQV2Agent()
    path = save(
        tmp_path / "snapshot.pt", original, module=module,
        _use_new_zipfile_serialization=not legacy,
    )  # fmt: skip
    found = read_checkpoint(path)
    np.testing.assert_allclose(
        found.agent().act(observations), original.act(observations), atol=1e-6
    )
    assert found.steps == 50_000
    assert module in found.kind
    assert not found.notes
    for part in ("encoder", "actor", "critic", "critic_target"):
        for name, tensor in getattr(original, part).state_dict().items():
            np.testing.assert_array_equal(found.parameters[f"{part}/{name}"], tensor.numpy())


def test_sizes_are_those_of_the_shapes(tmp_path):
    agent = DrQV2Agent(size=32, channels=5, features=7, hidden=11, actions=3, stack=2)
    config = read_checkpoint(save(tmp_path / "a.pt", agent)).config
    assert config == {
        "architecture": "drqv2",
        "image_size": 32,
        "channels": 5,
        "feature_dim": 7,
        "hidden_dim": 11,
        "action_dim": 3,
        "frame_stack": 2,
        "activation": "relu",
    }
    odd = read_checkpoint(save(tmp_path / "b.pt", agent), image_size=31)
    assert odd.agent().image_shape == (6, 31, 31)


def test_leaky_activations_are_known(tmp_path, observations):
    agent = DrQV2Agent(kind=nn.LeakyReLU)
    agent.actor.policy[1] = agent.actor.policy[3] = nn.LeakyReLU(inplace=True)
    found = read_checkpoint(save(tmp_path / "a.pt", agent))
    np.testing.assert_allclose(found.agent().act(observations), agent.act(observations), atol=1e-6)


def test_a_bare_agent_with_regularisers_and_joint_critics(tmp_path, observations):
    original = ALIXAgent()
    found = read_checkpoint(save(tmp_path / "checkpoint-1500000.pt", original, bare=True))
    agent = found.agent()
    assert found.steps is None
    np.testing.assert_allclose(agent.act(observations), original.act(observations), atol=1e-6)
    features, actions = torch.randn(5, original.critic.trunk[0].in_features), torch.randn(5, 6)
    trunk = original.critic.trunk(features)
    joint = original.critic.QS(torch.cat([trunk, actions], 1))
    for one, both in zip(agent.critic(features, actions), joint, strict=True):
        np.testing.assert_allclose(one.detach(), both.detach(), atol=1e-4)


class ListConfig:
    """What hydra leaves in an agent: a list of nodes, each with metadata of its own."""

    def __init__(self, values):
        self._content = [AnyNode(value) for value in values]
        self._metadata = ContainerMetadata()


class AnyNode:
    def __init__(self, value):
        self._val, self._metadata = value, Metadata()


class Metadata:
    def __init__(self):
        self.ref_type = typing.Any


class ContainerMetadata(Metadata):
    pass


def test_settings_that_hydra_made_are_passed_over(tmp_path, observations):
    agent = DrQV2Agent()
    agent.obs_shape = ListConfig([9, 20, 20])
    places = {
        "omegaconf.listconfig": [ListConfig],
        "omegaconf.nodes": [AnyNode],
        "omegaconf.base": [Metadata, ContainerMetadata],
    }
    with pretended(**places):
        path = save(tmp_path / "a.pt", agent)
    found = read_checkpoint(path)
    np.testing.assert_allclose(found.agent().act(observations), agent.act(observations), atol=1e-6)


def test_other_networks_are_left_out_and_named(tmp_path):
    agent = DrQV2Agent()
    agent.value_predictor = nn.Sequential(nn.Linear(3, 1))
    assert read_checkpoint(save(tmp_path / "a.pt", agent)).notes == ("left out: value_predictor",)


def test_the_critic_of_an_agent_that_encodes_actions_is_left_out(tmp_path, observations):
    agent = DrQV2Agent()
    agent.act_tok = nn.Linear(6, 9)
    found = read_checkpoint(save(tmp_path / "a.pt", agent))
    assert {name.split("/")[0] for name in found.parameters} == {"encoder", "actor"}
    assert "its critic takes encoded actions" in found.notes[-1]
    np.testing.assert_allclose(found.agent().act(observations), agent.act(observations), atol=1e-6)


def broken(change):
    agent = DrQV2Agent()
    change(agent)
    return agent


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda a: a.encoder.convnet.__setitem__(4, nn.Conv2d(4, 4, 5)),
            "encoder/convnet.4.weight is (4, 4, 5, 5), needed (4, 4, 3, 3)",
        ),
        (
            lambda a: a.actor.policy.__setitem__(2, nn.Linear(16, 17)),
            "actor/policy.2.weight is (17, 16), needed (16, 16)",
        ),
        (
            lambda a: a.actor.policy.append(nn.Linear(6, 6)),
            "actor/policy.5.weight (6, 6) is no layer of it",
        ),
        (lambda a: a.critic.trunk.pop(1), "has no critic/trunk.1.weight, needed (10,)"),
        (lambda a: a.encoder.convnet.__setitem__(1, nn.Tanh()), "it has ReLU, Tanh between"),
        (lambda a: a.actor.trunk[0].bias.data.fill_(np.nan), "actor/trunk.0.bias holds NaN"),
        (lambda a: a.actor.__delattr__("policy"), "no actor/policy.0.weight"),
        (
            lambda a: a.actor.trunk.__setitem__(0, nn.Linear(19, 10)),
            "actor/trunk.0.weight is (10, 19) behind 4 channels, which no square image gives",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_layer_and_shapes(tmp_path, change, words):
    path = save(tmp_path / "a.pt", broken(change))
    with pytest.raises(FormatError) as error:
        read_checkpoint(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
