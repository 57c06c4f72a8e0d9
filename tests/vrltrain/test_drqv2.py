"""One update against the algorithm written out plainly, in double precision."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from vrlprobe.agents.drqv2 import DrQV2Agent
from vrltrain import drqv2
from vrltrain.config.settings import TrainConfig
from vrltrain.drqv2 import Learner, resolve_precision
from vrltrain.replay import Batch
from vrltrain.train import compute_the_same_every_time

CONFIG = TrainConfig(
    image_size=20, channels=4, feature_dim=5, hidden_dim=8, precision="float32", seed=4
)
STD = 0.4


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def make(config: TrainConfig = CONFIG) -> Learner:
    compute_the_same_every_time(config.device)
    torch.manual_seed(config.seed)
    agent = DrQV2Agent.from_config({**config.stored(), "action_dim": 2})
    return Learner(agent.to(config.device), config)


def make_batch(seed: int = 0, size: int = 16) -> Batch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (2, size, 9, 20, 20), dtype=np.uint8)
    return Batch(
        images[0],
        rng.uniform(-1, 1, (size, 2)).astype(np.float32),
        rng.uniform(0, 2, (size, 1)).astype(np.float32),
        np.full((size, 1), 0.97, np.float32),
        images[1],
    )


def plain_update(agent: DrQV2Agent, batch: Batch, noise: list[torch.Tensor]) -> None:
    """DrQ-v2's update as its paper states it, with textbook Adam for a first step."""
    lr, tau = CONFIG.learning_rate, CONFIG.target_tau
    obs, following = (
        torch.from_numpy(x).double() / 255 - 0.5
        for x in (batch.observations, batch.next_observations)
    )

    def act(features: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        action = agent.actor(features) + eps.double()
        clamped = action.clamp(-1 + 1e-6, 1 - 1e-6)
        return action + (clamped - action).detach()

    def descend(loss: torch.Tensor, *modules: torch.nn.Module) -> None:
        parameters = [p for module in modules for p in module.parameters()]
        for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            # Adam's first step: both bias-corrected moments are the gradient and its square.
            p.data -= lr * g / (g.abs() + 1e-8)

    with torch.no_grad():
        ahead = agent.encoder(following)
        value = torch.minimum(*agent.critic_target(ahead, act(ahead, noise[0])))
        target = torch.from_numpy(batch.rewards) + torch.from_numpy(batch.discounts) * value
    features = agent.encoder(obs)
    q1, q2 = agent.critic(features, torch.from_numpy(batch.actions).double())
    descend(((q1 - target) ** 2).mean() + ((q2 - target) ** 2).mean(), agent.encoder, agent.critic)
    features = features.detach()
    descend(-torch.minimum(*agent.critic(features, act(features, noise[1]))).mean(), agent.actor)
    for own, target_p in zip(
        agent.critic.parameters(), agent.critic_target.parameters(), strict=True
    ):
        target_p.data = (1 - tau) * target_p.data + tau * own.data


@pytest.mark.parametrize("device", DEVICES)
def test_an_update_equals_the_algorithm_written_out(device) -> None:
    learner, batch = make(replace(CONFIG, device=device)), make_batch()
    agent = copy.deepcopy(learner.agent).to("cpu", torch.float64)
    generator = torch.Generator().manual_seed(CONFIG.seed)
    noise = [(torch.randn(16, 2, generator=generator) * STD).clamp(-0.3, 0.3) for _ in range(2)]
    before = {name: t.clone() for name, t in learner.agent.named_tensors().items()}
    learner.update(batch, STD)
    plain_update(agent, batch, noise)
    for name, tensor in learner.agent.named_tensors().items():
        assert not torch.equal(tensor, before[name]), name
        # Adam's first step has size lr whatever the gradient, so noise in a gradient near 0 shows.
        torch.testing.assert_close(
            tensor.cpu().double(), agent.named_tensors()[name], atol=2e-6, rtol=1e-5, msg=name
        )


def test_bfloat16_gradients_point_where_float32_ones_do() -> None:
    gradients = {}
    for precision in ("float32", "bfloat16"):
        learner = make(replace(CONFIG, precision=precision))
        learner.update(make_batch(), STD)
        trained = ("encoder", "critic", "actor")
        parts = [getattr(learner.agent, name) for name in trained]
        gradients[precision] = [p.grad for part in parts for p in part.parameters()]
        assert all(t.dtype == torch.float32 for t in learner.agent.named_tensors().values())
    for full, half in zip(*gradients.values(), strict=True):
        assert torch.cosine_similarity(full.flatten(), half.flatten(), dim=0) > 0.99
        assert not torch.equal(full, half)


def test_bfloat16_features_are_float32s_but_for_rounding() -> None:
    """Dark, bright and mixed images: a shifted or scaled input would show in every one."""
    images = make_batch(size=6).observations
    images[:2], images[2:4] = images[:2] // 8, 255 - images[2:4] // 8
    half, full = (
        make(replace(CONFIG, precision=name)).features(torch.from_numpy(images))
        for name in ("bfloat16", "float32")
    )
    for one, other in zip(half, full, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one.float() - other).norm() / other.norm() < 0.01


@pytest.mark.parametrize("device", DEVICES)
def test_the_state_carries_an_update_over_bit_for_bit(device) -> None:
    one = make(replace(CONFIG, device=device))
    one.update(make_batch(0), STD)
    two = make(replace(CONFIG, device=device))
    two.agent.load_named_tensors(one.agent.named_tensors())
    two.restore(one.state())
    for learner in (one, two):
        learner.update(make_batch(1), STD)
    assert one.updates == two.updates == 2
    for name, tensor in one.agent.named_tensors().items():
        assert torch.equal(tensor, two.agent.named_tensors()[name]), name


def test_means_cover_the_updates_since_the_last_call() -> None:
    learner = make()
    assert np.isnan(learner.take_means()["grad_norm_train"]).all()
    singles = []
    for seed in range(3):
        learner.update(make_batch(seed), STD)
        singles.append(learner.take_means()["grad_norm_train"])
    again = make()
    for seed in range(3):
        again.update(make_batch(seed), STD)
    np.testing.assert_allclose(
        again.take_means()["grad_norm_train"], np.mean(singles, axis=0), rtol=1e-5
    )


def test_noise_decays_linearly_and_stays_at_its_minimum() -> None:
    config = TrainConfig(noise_start=1.0, noise_end=0.1, noise_steps=100)
    assert [config.noise_std(s) for s in (0, 50, 100, 5000)] == pytest.approx([1, 0.55, 0.1, 0.1])
    assert config.rule_window == 200


@pytest.mark.parametrize(
    ("tiles", "products", "rates", "expected"),
    [
        (True, True, {}, "bfloat16"),
        (False, False, {}, "float32"),
        (False, True, {"float32": 100e9, "bfloat16": 213e9}, "bfloat16"),  # Zen 4
        (False, True, {"float32": 162e9, "bfloat16": 84e9}, "float32"),  # Xeon, its tiles hidden
    ],
)
def test_precision_is_what_the_processor_is_faster_in(
    monkeypatch, tiles, products, rates, expected
) -> None:
    """Timed, as recorded on these machines, only where its instructions leave it open."""
    capabilities = {"amx_tile": tiles, "avx512_bf16": products}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(drqv2, "speedup", lambda one, other: rates[one] / rates[other])
    uncached = drqv2._processor_is_faster_in_bfloat16.__wrapped__
    monkeypatch.setattr(drqv2, "_processor_is_faster_in_bfloat16", uncached)
    assert resolve_precision("auto") == expected
    assert resolve_precision("float32") == "float32"


def test_an_unknown_precision() -> None:
    with pytest.raises(ValueError, match="auto, float32 or bfloat16"):
        resolve_precision("half")
