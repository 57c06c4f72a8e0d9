"""Agents of Stable-Baselines3 and CleanRL come back as the networks that were saved."""

import os
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.checkpoints import baselines
from tests.checkpoints.test_hostile import Call
from vrlprobe.agents.activations import extract_activations
from vrlprobe.checkpoints.read import read_checkpoint
from vrlprobe.errors import FormatError, UnsafeFileError

ZIPS = {
    "dqn": (baselines.dqn(), "DQN", {}, "q"),
    "dqn with hidden layers": (baselines.dqn((12, 10)), "DQN", {}, "q"),
    "ppo": (baselines.actor_critic(), "PPO or A2C", {}, "logits"),
    "ppo with hidden layers": (baselines.actor_critic((12, 10)), "PPO or A2C", {}, "logits"),
    "ppo with others": (
        baselines.actor_critic((12,), nn.ReLU, box=True, apart=True),
        "PPO or A2C",
        {"policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.ReLU'>"}},
        "action",
    ),
    "ppo with squashed gSDE": (
        baselines.actor_critic(box=True, squashed=True),
        "PPO or A2C",
        {"policy_kwargs": {"squash_output": True}},
        "action",
    ),
    "sac": (baselines.sac(), "SAC", {}, "action"),
    "td3": (baselines.td3(), "TD3 or DDPG", {}, "action"),
}
STATE_DICTS = {
    "CleanRL DQN": baselines.cleanrl(),
    "CleanRL PPO": baselines.cleanrl(ppo=True),
    "Stable-Baselines3 SAC": baselines.sac(),
}


def images(agent):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, *agent.image_shape), dtype=np.uint8)


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip_acts_as_the_original(tmp_path, name):
    (policy, act), kind, told, output = ZIPS[name]
    found = read_checkpoint(baselines.save_zip(tmp_path / "model.zip", policy, **told))
    agent = found.agent()
    seen = images(agent)
    assert found.kind == f"Stable-Baselines3 {kind}"
    assert found.steps == 700
    assert list(agent.layers)[-1] == output
    wanted = act(torch.from_numpy(seen)).detach().numpy()
    np.testing.assert_allclose(agent.act(seen), wanted, atol=1e-6)
    last = extract_activations(agent, seen, [output])[output]
    np.testing.assert_allclose(last, wanted, atol=1e-6)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", STATE_DICTS)
def test_a_plain_state_dict_acts_as_the_original(tmp_path, kind, suffix):
    policy, act = STATE_DICTS[kind]
    path = tmp_path / f"model{suffix}"
    if suffix == ".pt":
        torch.save(policy.state_dict(), path)
    else:
        save_file(policy.state_dict(), path)
    found = read_checkpoint(path)
    seen = images(found.agent())
    assert found.kind == kind
    wanted = act(torch.from_numpy(seen)).detach().numpy()
    np.testing.assert_allclose(found.agent().act(seen), wanted, atol=1e-6)


def test_its_own_names_go_both_ways(tmp_path):
    policy, _ = baselines.sac()
    first = read_checkpoint(baselines.save_zip(tmp_path / "a.zip", policy))
    tensors = {name: torch.from_numpy(array) for name, array in first.parameters.items()}
    torch.save({name.replace("/", "."): tensor for name, tensor in tensors.items()}, tmp_path / "b")
    again = read_checkpoint(tmp_path / "b", architecture="nature")
    assert again.config == first.config
    for name, array in first.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)


def test_layers_by_hand(tmp_path):
    policy, _ = baselines.dqn((12,))
    agent = read_checkpoint(baselines.save_zip(tmp_path / "a.zip", policy)).agent()
    assert list(agent.layers) == ["cnn0", "cnn1", "cnn2", "cnn3", "mlp0", "mlp1", "q"]
    seen = images(agent)
    found = extract_activations(agent, seen)
    net = policy["q_net"]
    values = torch.from_numpy(seen).float() / 255
    np.testing.assert_allclose(found["cnn0"], values.flatten(1))
    for n in range(3):
        values = net["features_extractor"]["cnn"][2 * n : 2 * n + 2](values)
        wanted = values.detach().flatten(1).numpy()
        np.testing.assert_allclose(found[f"cnn{n + 1}"], wanted, atol=1e-6)
    mlp0 = net["features_extractor"]["linear"](values.flatten(1))
    np.testing.assert_allclose(found["mlp0"], mlp0.detach().numpy(), atol=1e-6)
    mlp1 = net["q_net"][:2](mlp0).detach().numpy()
    np.testing.assert_allclose(found["mlp1"], mlp1, atol=1e-6)


def test_image_sizes(tmp_path):
    policy, _ = baselines.dqn()
    path = baselines.save_zip(tmp_path / "a.zip", policy)
    assert read_checkpoint(path).agent().image_shape == (4, 44, 44)
    assert read_checkpoint(path, image_size=47).agent().image_shape == (4, 47, 47)
    told = {"observation_space": {"_shape": [4, 46, 45]}}
    path = baselines.save_zip(tmp_path / "b.zip", policy, **told)
    assert read_checkpoint(path).agent().image_shape == (4, 46, 45)


def custom(policy, **modules):
    extractor = policy["features_extractor"]
    for name, module in modules.items():
        extractor[name] = module
    return policy


def recurrent():
    """RecurrentPPO, whose LSTM as wide as the features shows in no shape."""
    policy = baselines.actor_critic()[0]
    policy["lstm_actor"] = nn.LSTM(16, 16)
    return policy


@pytest.mark.parametrize(
    ("policy", "told", "words"),
    [
        (
            custom(baselines.actor_critic()[0], cnn=nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3))),
            {},
            "a features extractor of its own",
        ),
        (
            custom(baselines.actor_critic()[0], norm=nn.LayerNorm(3)),
            {},
            "not read here",
        ),
        (
            nn.ModuleDict({"features_extractor": nn.ModuleDict({"extractors": nn.Linear(2, 2)})}),
            {},
            "a features extractor of its own .features_extractor.extractors.weight.",
        ),
        (nn.ModuleDict({"q_net": chain}) if (chain := baselines.chain(2, 2)) else None, {},
         "it does not see images"),
        (baselines.dqn()[0], {"policy_kwargs": {"normalize_images": False}}, "dividing pixels"),
        (
            baselines.actor_critic((5,))[0],
            {"policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.ELU'>"}},
            "activation ELU, needed one of ReLU",
        ),
        (
            custom(baselines.actor_critic()[0], linear=nn.Sequential(nn.Linear(33, 16))),
            {},
            "takes 33 features behind 8 channels, which no square image gives",
        ),
        (
            custom(baselines.actor_critic()[0], linear=nn.Sequential(nn.Linear(32, 17))),
            {},
            r"actor/logits.weight is \(5, 16\), needed \(5, 17\)",
        ),
        (nn.ModuleDict(), {}, "its policy has no parameters"),
        (
            baselines.dqn()[0],
            {"policy_kwargs": {"features_extractor_class": "<class 'mine.NatureCNN'>"}},
            "a features extractor of its own .mine.NatureCNN.",
        ),
        (recurrent(), {}, "an algorithm or with an option that is not read here"),
    ],
)  # fmt: skip
def test_policies_that_are_not_read(tmp_path, policy, told, words):
    path = baselines.save_zip(tmp_path / "a.zip", policy, **told)
    with pytest.raises(FormatError, match=words) as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


def test_nothing_of_a_zip_is_run(tmp_path):
    marker = tmp_path / "ran"
    evil = {"q_net.q_net.0.weight": Call(os.system, f"touch {marker}")}
    path = baselines.save_zip(tmp_path / "a.zip", evil)
    with pytest.raises(UnsafeFileError, match="system"):
        read_checkpoint(path)
    assert not marker.exists()


def test_data_that_is_no_json_tells_nothing(tmp_path):
    path = baselines.save_zip(tmp_path / "a.zip", baselines.dqn()[0])
    with zipfile.ZipFile(path) as file:
        policy = file.read("policy.pth")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", b"\x80\x04cos\nsystem\n.")
        file.writestr("policy.pth", policy)
    found = read_checkpoint(path)
    assert found.steps is None
    assert "are guessed" in found.notes[0]


def test_architectures_that_do_not_match(tmp_path):
    path = baselines.save_zip(tmp_path / "a.zip", baselines.dqn()[0])
    with pytest.raises(FormatError, match="DQN, whose architecture is nature"):
        read_checkpoint(path, architecture="drqv2")
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(FormatError, match="no safetensors file"):
        read_checkpoint(tmp_path / "b.safetensors")
    save_file({"a": torch.zeros(3)}, tmp_path / "c.safetensors")
    with pytest.raises(FormatError, match="it holds a"):
        read_checkpoint(tmp_path / "c.safetensors")
