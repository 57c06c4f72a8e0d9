"""Pickled agents come back as the networks that were pickled."""

import typing

import numpy as np
import pytest
import torch
from torch import nn

from tests.checkpoints.strangers import ALIXAgent, DenseParallel, DrQV2Agent, pretended, save
from vrlprobe.checkpoints.read import read_checkpoint
from vrlprobe.errors import VrlprobeError


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
    assert found.notes == ("left out: critic (critic/Q1.1 is ReLU, needed LeakyReLU)",)
    assert {name.split("/")[0] for name in found.parameters} == {"encoder", "actor"}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint16])
def test_steps_that_numpy_counted(tmp_path, kind, protocol):
    path = save(tmp_path / "a.pt", DrQV2Agent(), step=kind(1234), pickle_protocol=protocol)
    assert read_checkpoint(path).steps == 1234


def test_numpy_arrays_beside_the_networks_are_passed_over(tmp_path):
    agent = DrQV2Agent()
    agent.goal = np.ones((3, 2), np.float32)
    assert read_checkpoint(save(tmp_path / "a.pt", agent)).steps == 50_000


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


def nest(critic, depth):
    for _ in range(depth):
        critic.trunk = nn.Sequential(critic.trunk)


def test_a_critic_of_three_joint_functions_is_left_out(tmp_path):
    agent = ALIXAgent()
    for layer in agent.critic.QS:
        if isinstance(layer, DenseParallel):
            layer.weight = nn.Parameter(torch.randn(3, *layer.weight.shape[1:]))
    (note,) = read_checkpoint(save(tmp_path / "a.pt", agent, bare=True)).notes
    assert "critic/QS.0.weight is (3, 16, 16), needed two Q functions" in note


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.critic.trunk.pop(1), "it has no critic/trunk.1.weight, needed (10,)"),
        (
            lambda a: a.critic.Q1.__setitem__(0, nn.Linear(19, 16)),
            "critic/Q1.0.weight is (16, 19), needed (16, 16)",
        ),
        (lambda a: a.critic.Q1[0].bias.data.fill_(np.nan), "critic/Q1.0.bias holds NaN"),
        (lambda a: a.critic.Q2.__setitem__(1, nn.Tanh()), "critic/Q2.1 is Tanh, needed ReLU"),
        (lambda a: a.critic.Q1.insert(1, nn.Dropout(0.1)), "critic/Q1.2.weight"),
        (lambda a: nest(a.critic, 10), "modules nested deeper than any agent's"),
    ],
)
def test_a_critic_of_another_kind_is_left_out_and_said(tmp_path, observations, change, words):
    agent = broken(change)
    found = read_checkpoint(save(tmp_path / "a.pt", agent))
    assert {name.split("/")[0] for name in found.parameters} == {"encoder", "actor"}
    assert words in found.notes[-1]
    assert str(tmp_path) not in found.notes[-1]
    np.testing.assert_allclose(found.agent().act(observations), agent.act(observations), atol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "std"),
    [
        ("linear(1.0,0.1,100000)", 0.55),
        ("linear( 1, 0.1 , 1e5 )", 0.55),
        ("linear(1.0,0.1,5e4)", 0.1),
        ("step_linear(1.0,0.5,10,0.1,20)", None),
        ("linear(1.0,0.1,1e)", None),
    ],
)
def test_the_noise_is_what_the_schedule_had_reached(tmp_path, schedule, std):
    agent = DrQV2Agent()
    agent.stddev_schedule = schedule
    noise = read_checkpoint(save(tmp_path / "a.pt", agent)).noise
    assert noise == (pytest.approx((std, 0.3)) if std else None)


@pytest.mark.parametrize(
    ("option", "value"),
    [("padding", 0), ("padding", "valid"), ("stride", [1, 1]), ("dilation", 1)],
)
def test_an_option_may_be_written_in_another_way(tmp_path, option, value):
    agent = DrQV2Agent()
    setattr(agent.encoder.convnet[2], option, value)
    assert not read_checkpoint(save(tmp_path / "a.pt", agent)).notes


def test_a_count_of_steps_beyond_any_training_is_none(tmp_path):
    assert read_checkpoint(save(tmp_path / "a.pt", DrQV2Agent(), step=1 << 60)).steps is None


def turned(layers):
    """The same layers under the same names, in another order."""
    layers._modules = dict(reversed(layers._modules.items()))


def leaky(agent, slope):
    for place in (1, 3, 5, 7):
        agent.encoder.convnet[place] = nn.LeakyReLU(slope)


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
        (
            lambda a: a.encoder.convnet.__setitem__(1, nn.Tanh()),
            "encoder/convnet.1 is Tanh, needed ReLU",
        ),
        (lambda a: a.actor.trunk[0].bias.data.fill_(np.nan), "actor/trunk.0.bias holds NaN"),
        (lambda a: a.actor.__delattr__("policy"), "no actor/policy.0.weight"),
        (
            lambda a: a.actor.trunk.__setitem__(0, nn.Linear(19, 10)),
            "actor/trunk.0.weight is (10, 19) behind 4 channels, which no square image gives",
        ),
        (
            lambda a: a.encoder.convnet.__setitem__(0, nn.Conv2d(10, 4, 3, 2)),
            "encoder/convnet.0.weight takes 10 channels, no stack of colour images",
        ),
        # What the shapes do not show: a fork's layers under the reference's names.
        (
            lambda a: setattr(a.encoder, "projector", nn.Linear(16, 16)),
            "encoder/projector.weight (16, 16) is no layer of it",
        ),
        (
            lambda a: setattr(a.encoder, "pool", nn.AvgPool2d(2)),
            "encoder/pool (AvgPool2d) is no layer of it",
        ),
        (
            lambda a: setattr(a.encoder, "squash", nn.Tanh()),
            "encoder/squash (Tanh) is no layer of it",
        ),
        (
            lambda a: setattr(a.encoder.convnet[2], "padding", (1, 1)),
            "encoder/convnet.2 has padding (1, 1), needed (0, 0)",
        ),
        (
            lambda a: setattr(a.encoder.convnet[0], "stride", (1, 1)),
            "encoder/convnet.0 has stride (1, 1), needed (2, 2)",
        ),
        (lambda a: a.encoder.convnet.pop(7), "it has no encoder/convnet.7, needed ReLU"),
        (lambda a: a.actor.trunk.pop(2), "it has no actor/trunk.2, needed Tanh"),
        (
            lambda a: a.actor.trunk.__setitem__(2, nn.ReLU()),
            "actor/trunk.2 is ReLU, needed Tanh",
        ),
        (
            lambda a: setattr(a.actor.trunk[1], "eps", 1e-2),
            "actor/trunk.1 has eps 0.01, needed 1e-05",
        ),
        (
            lambda a: turned(a.actor.policy),
            "the modules of actor/policy come in another order",
        ),
        (
            lambda a: a.encoder.register_buffer("mean", torch.zeros(3)),
            "encoder has mean of its own",
        ),
        (
            lambda a: a.encoder.convnet.register_buffer("mean", torch.zeros(3)),
            "encoder/convnet has mean of its own",
        ),
        (
            lambda a: a.actor.policy[1].register_buffer("scale", torch.ones(1)),
            "actor/policy.1 has scale of its own",
        ),
        (
            lambda a: leaky(a, 0.3),
            "encoder/convnet.1 has negative_slope 0.3, needed 0.01",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_layer_and_shapes(tmp_path, change, words):
    path = save(tmp_path / "a.pt", broken(change))
    with pytest.raises(VrlprobeError) as error:
        read_checkpoint(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
