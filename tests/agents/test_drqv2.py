"""The networks against the published sizes, and the gradient norm against autograd by hand."""

import numpy as np
import pytest
import torch

from vrlprobe.agents.drqv2 import DrQV2Agent, add_noise
from vrlprobe.agents.sizes import feature_size

PAPER = {
    "image_size": 84,
    "channels": 32,
    "feature_dim": 50,
    "hidden_dim": 1024,
    "action_dim": 6,
}
SMALL = {**PAPER, "image_size": 20, "channels": 4, "feature_dim": 5, "hidden_dim": 7}


@pytest.fixture
def small() -> DrQV2Agent:
    torch.manual_seed(0)
    return DrQV2Agent.from_config({**SMALL, "task": "walker_walk"})


def test_parameter_counts_are_the_published_ones() -> None:
    agent = DrQV2Agent.from_config(PAPER)
    counts = {
        name: sum(p.numel() for p in module.parameters()) for name, module in agent.parts().items()
    }
    assert counts == {
        "encoder": 30_368,
        "actor": 3_068_124,
        "critic": 4_178_136,
        "critic_target": 4_178_136,
    }


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_maps_give_what_their_flat_features_give(small: DrQV2Agent, layout) -> None:
    """Values, and gradients in the maps and in the trunk's weight, in float64."""
    critic = small.double().critic
    maps = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    actions = torch.rand(6, SMALL["action_dim"], dtype=torch.float64)
    found = []
    for features in (maps.contiguous(memory_format=layout), maps.flatten(1)):
        features.requires_grad_()
        values = torch.cat(critic(features, actions))
        gradients = torch.autograd.grad(values.sum(), [critic.trunk[0].weight, features])
        found.append((values, gradients[0], gradients[1].flatten(1)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_maps_in_half_precision_give_float32_outputs(small: DrQV2Agent) -> None:
    """The trunk's linear map alone is rounded: its products, and its gradients in either factor."""
    trunk = small.critic.trunk[0]
    maps = torch.randn(6, 4, 3, 3).to(torch.bfloat16)
    found = []
    for features in (maps, maps.float()):
        features.requires_grad_()
        outputs = trunk(features)
        assert outputs.dtype == torch.float32
        gradients = torch.autograd.grad(outputs.square().sum(), [trunk.weight, features])
        assert gradients[1].dtype == features.dtype
        found.append([each.float() for each in (outputs, *gradients)])
    for half, full in zip(*found, strict=True):
        assert 0 < (half - full).norm() / full.norm() < 0.01


def test_of_an_mlp_the_hidden_product_alone_is_in_half_precision(small: DrQV2Agent) -> None:
    """What each linear map is given, and all that comes of it but for rounding."""
    policy = small.actor.policy
    inputs = torch.randn(6, SMALL["feature_dim"]).tanh().requires_grad_()
    found, given = [], []
    hooks = [
        module.register_forward_pre_hook(lambda _, args: given.append(args[0].dtype))
        for module in policy[::2]
    ]
    for precision in (torch.bfloat16, None):
        outputs = policy(inputs, precision)
        assert outputs.dtype == torch.float32
        gradients = torch.autograd.grad(outputs.square().sum(), [inputs, *policy.parameters()])
        found.append([outputs, *gradients])
    for hook in hooks:
        hook.remove()
    single = [torch.float32] * 3
    assert given == [torch.float32, torch.bfloat16, torch.float32, *single]
    for half, full in zip(*found, strict=True):
        assert half.dtype == torch.float32
        assert 0 < (half - full).norm() / full.norm() < 0.02
    assert torch.equal(found[1][0], torch.nn.Sequential(*policy)(inputs))


@pytest.mark.parametrize("part", ["actor", "critic"])
def test_networks_compute_in_the_precision_of_their_maps(small: DrQV2Agent, part) -> None:
    """Each MLP's hidden map is given half precision, and only by maps in half precision."""
    network, given = getattr(small, part), []
    actions = [torch.zeros(6, SMALL["action_dim"])] if part == "critic" else []
    for name in ("policy",) if part == "actor" else ("Q1", "Q2"):
        hidden = getattr(network, name)[2]
        hidden.register_forward_pre_hook(lambda _, args: given.append(args[0].dtype))
    for maps in (torch.randn(6, 4, 3, 3).to(torch.bfloat16), torch.randn(6, 4, 3, 3)):
        given.clear()
        outputs = network(maps, *actions)
        assert set(given) == {maps.dtype}
        assert all(each.dtype == torch.float32 for each in outputs)


def test_every_layer_has_the_papers_size() -> None:
    agent = DrQV2Agent.from_config(PAPER)
    sizes: dict[str, int] = {}
    for name, path in agent.layers.items():
        if path:
            agent.get_submodule(path).register_forward_hook(
                lambda _m, _i, out, name=name: sizes.update({name: out[0].numel()})
            )
    agent(torch.zeros(1, 9, 84, 84, dtype=torch.uint8))
    assert next(iter(agent.layers)) == "cnn0"
    assert sizes == {
        "cnn1": 53_792,
        "cnn2": 48_672,
        "cnn3": 43_808,
        "cnn4": 39_200,
        "mlp0": 50,
        "mlp1": 1024,
        "mlp2": 1024,
        "action": 6,
    }


def test_initial_weights_are_orthogonal(small: DrQV2Agent) -> None:
    weight = small.actor.get_parameter("policy.2.weight")
    torch.testing.assert_close(weight @ weight.T, torch.eye(7), atol=1e-5, rtol=0)
    kernel = small.encoder.get_parameter("convnet.2.weight").flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, 2 * torch.eye(4), atol=1e-5, rtol=0)
    assert all(not p.any() for name, p in small.encoder.named_parameters() if "bias" in name)


def test_the_target_starts_as_the_critic(small: DrQV2Agent) -> None:
    for (name, own), target in zip(
        small.critic.state_dict().items(), small.critic_target.state_dict().values(), strict=True
    ):
        assert torch.equal(own, target), name


def test_pixels_are_normalised_with_one_rounding() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    exact = pixels.double() / 255 - 0.5
    found = DrQV2Agent.normalise(pixels).double()
    torch.testing.assert_close(found, exact, atol=1e-12, rtol=torch.finfo(torch.float32).eps)


def test_feature_size_needs_fifteen_pixels() -> None:
    assert feature_size(84, 32) == 39_200
    assert feature_size(15, 1) == 1
    with pytest.raises(ValueError, match="at least 15"):
        feature_size(14, 1)


def test_named_tensors_go_both_ways(small: DrQV2Agent) -> None:
    other = DrQV2Agent.from_config(SMALL)
    tensors = small.named_tensors()
    assert "encoder/convnet.0.weight" in tensors
    other.load_named_tensors({name: tensor.numpy() for name, tensor in tensors.items()})
    pixels = torch.randint(0, 256, (3, 9, 20, 20), dtype=torch.uint8)
    assert torch.equal(small(pixels), other(pixels))


def test_parameters_that_do_not_fit_are_named(small: DrQV2Agent) -> None:
    tensors = dict(small.named_tensors())
    with pytest.raises(ValueError, match=r"actor/trunk.0.weight has shape \(5, 3\), needed"):
        small.load_named_tensors({**tensors, "actor/trunk.0.weight": torch.zeros(5, 3)})
    del tensors["actor/policy.4.bias"]
    with pytest.raises(ValueError, match=r"actor/policy\.4\.bias"):
        small.load_named_tensors(tensors)


def test_gradient_norms_equal_a_plain_backward_pass(small: DrQV2Agent) -> None:
    rng = np.random.default_rng(1)
    observations = rng.integers(0, 256, (6, 9, 20, 20), dtype=np.uint8)
    noise = rng.normal(0, 0.3, (6, 6)).astype(np.float32)
    norms = small.gradient_norms(observations, noise)

    features = small.encoder(torch.from_numpy(observations) / 255 - 0.5).detach()
    actions = (small.actor(features) + torch.from_numpy(noise)).clamp(-1 + 1e-6, 1 - 1e-6)
    inside = actions.detach().abs() < 1 - 1e-6
    assert inside.all()  # where nothing is clamped the straight-through estimate is the gradient
    values = torch.minimum(*small.critic(features, actions))
    (-values.mean()).backward()
    weights = {"mlp0": "trunk.0", "mlp1": "policy.0", "mlp2": "policy.2"}
    for layer, path in weights.items():
        gradient = small.actor.get_parameter(f"{path}.weight").grad
        assert gradient is not None
        assert norms[layer] == pytest.approx(float(gradient.norm()), rel=1e-5)


def test_the_gradient_passes_a_clamped_action() -> None:
    mean = torch.tensor([0.9], requires_grad=True)
    action = add_noise(mean, torch.tensor([0.3]))
    action.sum().backward()
    assert action.item() == pytest.approx(1 - 1e-6)
    assert mean.grad is not None
    assert mean.grad.item() == 1.0


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("hidden_dim", 10**9, "actor/policy.0.weight has shape"),
        ("image_size", 100_000, "actor/trunk.0.weight has shape"),
        ("hidden_dim", "wide", "must be tuple of ints"),
        ("channels", -1, "negative dimension"),
        ("activation", "gelu", "no activation 'gelu'"),
    ],
)
def test_a_config_that_does_not_fit_is_found_before_memory_is_taken(
    small: DrQV2Agent, key: str, value: object, reason: str
) -> None:
    with pytest.raises((RuntimeError, TypeError, ValueError), match=reason):
        DrQV2Agent.from_parameters({**SMALL, key: value}, small.named_tensors())


def test_an_agent_of_a_part_of_the_networks_has_no_others(small: DrQV2Agent) -> None:
    """None is drawn for what a file lacks, nor a number from the program's own stream."""
    tensors = {n: t for n, t in small.named_tensors().items() if not n.startswith("critic")}
    before = torch.random.get_rng_state()
    agent = DrQV2Agent.from_parameters(SMALL, tensors)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert agent.critic is None
    assert agent.critic_target is None
    assert agent.named_tensors().keys() == tensors.keys()
    seen = np.random.default_rng(0).integers(0, 256, (3, 9, 20, 20), dtype=np.uint8)
    np.testing.assert_array_equal(agent.act(seen), small.act(seen))


@pytest.mark.parametrize("part", ["encoder", "actor"])
def test_no_agent_acts_without_encoder_and_actor(small: DrQV2Agent, part: str) -> None:
    tensors = {n: t for n, t in small.named_tensors().items() if not n.startswith(part)}
    with pytest.raises(ValueError, match=f"the parameters have no {part}"):
        DrQV2Agent.from_parameters(SMALL, tensors)


def test_observations_that_cannot_be_written_are_read(small: DrQV2Agent, tmp_path) -> None:
    """A memory map of a file; torch's warning would be an error in the tests."""
    agent, rng = small, np.random.default_rng(0)
    shape = (5, *agent.image_shape)
    np.save(tmp_path / "seen.npy", rng.integers(0, 256, shape, dtype=np.uint8))
    seen = np.load(tmp_path / "seen.npy", mmap_mode="r")
    np.testing.assert_array_equal(agent.act(seen), agent.act(np.array(seen)))
    noise = np.zeros((5, agent.action_dim), np.float32)
    noise.setflags(write=False)
    assert agent.gradient_norms(seen, noise)
    assert agent.q_values(seen, noise).shape == (5, 5)
