"""Patched forward passes against the same networks written out by hand."""

import numpy as np
import pytest
import torch

from vrlprobe.agents.activations import extract_activations
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.agents.own import ModuleAgent
from vrlprobe.agents.patch import patched, replaced, with_direction, without_directions
from vrlprobe.errors import SampleError, UnknownLayerError

SIZES = {"image_size": 20, "channels": 3, "feature_dim": 8, "hidden_dim": 12, "action_dim": 2}
N = 10


def agent(seed: int) -> DrQV2Agent:
    torch.manual_seed(seed)
    return DrQV2Agent(**SIZES).eval()


@pytest.fixture
def seen() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, 9, 20, 20), np.uint8)


def policy_from(one: DrQV2Agent, first: int, values: np.ndarray) -> np.ndarray:
    """The action from activations that enter the policy at one of its modules."""
    with torch.no_grad():
        found = torch.from_numpy(values.astype(np.float32))
        for module in one.actor.policy[first:]:
            found = module(found)
        return found.tanh().numpy()


@pytest.mark.parametrize("batch_size", [3, 64])
def test_another_agents_layer(seen, batch_size):
    one, other = agent(1), agent(2)
    theirs = extract_activations(other, seen, "mlp1")["mlp1"]
    with patched(one, {"mlp1": replaced(theirs)}):
        found = extract_activations(one, seen, ["mlp0", "mlp1", "mlp2", "action"], batch_size)
    np.testing.assert_array_equal(found["mlp1"], theirs)
    own = extract_activations(one, seen, ["mlp0", "action"])
    np.testing.assert_allclose(found["mlp0"], own["mlp0"], atol=1e-6)
    np.testing.assert_allclose(found["action"], policy_from(one, 2, theirs), atol=1e-6)
    assert np.abs(found["action"] - own["action"]).max() > 1e-3


def test_the_whole_encoder_of_another_agent_is_a_stitched_pair(seen):
    one, other = agent(1), agent(2)
    with torch.no_grad():
        features = other.encoder(other.normalise(torch.from_numpy(seen)))
        expected = one.actor(features).numpy()
    with patched(one, {"cnn4": replaced(features.numpy())}):
        np.testing.assert_allclose(one.act(seen), expected, atol=1e-6)


def test_chosen_units_take_their_mean(seen):
    one = agent(1)
    own = extract_activations(one, seen, "mlp2")["mlp2"]
    units = [0, 3, 7]
    with patched(one, {"mlp2": replaced(own.mean(axis=0), units)}):
        found = one.act(seen)
    expected = own.copy()
    expected[:, units] = own.mean(axis=0)[units]
    np.testing.assert_allclose(found, policy_from(one, 4, expected), atol=1e-6)


def test_images_of_other_observations(seen):
    one = agent(1)
    others = seen[::-1].copy()
    pixels = extract_activations(one, others, "cnn0")["cnn0"]
    expected = one.act(others)
    with patched(one, {"cnn0": replaced(pixels)}):
        np.testing.assert_allclose(one.act(seen), expected, atol=1e-6)


def test_a_layer_of_zeros_leaves_the_biases(seen):
    one = agent(1)
    with patched(one, {"mlp2": replaced(0.0)}):
        found = one.act(seen)
        np.testing.assert_array_equal(one.act(seen), found)
    bias = one.actor.policy[4].bias.detach().numpy()
    np.testing.assert_allclose(found, np.tile(np.tanh(bias), (N, 1)), atol=1e-7)


def test_a_module_behind_that_works_in_place_leaves_the_values(seen):
    class InPlace(torch.nn.Module):
        def forward(self, found):
            return found.mul_(0)

    one, values = agent(1), np.ones((N, 12), np.float32)
    one.actor.policy[2] = torch.nn.Sequential(InPlace(), one.actor.policy[2])
    with patched(one, {"mlp1": replaced(values)}):
        one.act(seen)
    assert (values == 1).all()


def test_directions_are_taken_out_by_projection(seen):
    one = agent(1)
    own = extract_activations(one, seen, "mlp1")["mlp1"].astype(np.float64)
    directions = np.random.default_rng(1).standard_normal((2, own.shape[1]))
    centre = own.mean(axis=0)
    with patched(one, {"mlp1": without_directions(directions, centre)}):
        found = extract_activations(one, seen, ["mlp1", "action"])
    A = directions.T
    projector = np.eye(len(A)) - A @ np.linalg.inv(A.T @ A) @ A.T
    expected = centre + (own - centre) @ projector
    np.testing.assert_allclose(found["mlp1"], expected, atol=1e-6)
    np.testing.assert_allclose(found["action"], policy_from(one, 2, expected), atol=1e-6)


def test_a_direction_is_added(seen):
    one = agent(1)
    own = extract_activations(one, seen, "mlp1")["mlp1"]
    step = np.linspace(0, 1, own.shape[1])
    with patched(one, {"mlp1": with_direction(step)}):
        np.testing.assert_allclose(one.act(seen), policy_from(one, 2, own + step), atol=1e-6)


def test_the_agent_is_left_as_it_was(seen):
    one = agent(1)
    before = one.act(seen)
    with pytest.raises(SampleError), patched(one, {"mlp1": replaced(np.zeros((2, 12)))}):
        one.act(seen)
    np.testing.assert_array_equal(one.act(seen), before)


def test_what_does_not_fit(seen):
    one = agent(1)
    for values, message in (
        (np.zeros(11), r"12 units for 10 samples from 0 on, .* are \(11,\)"),
        (np.zeros((N - 1, 12)), r"for 10 samples from 0 on, .* are \(9, 12\)"),
    ):
        with pytest.raises(SampleError, match=message), patched(one, {"mlp1": replaced(values)}):
            one.act(seen)
    with (
        pytest.raises(SampleError, match=r"layer 'mlp1': the edit gives \(10, 3\), needed"),
        patched(one, {"mlp1": lambda found, _: found[:, :3]}),
    ):
        one.act(seen)
    with pytest.raises(UnknownLayerError, match=r"no layer 'mpl1': did you mean mlp1\?"):
        patched(one, {"mpl1": replaced(0.0)}).__enter__()


class Functional(torch.nn.Module):
    """A network whose activation is a function, so that only the input of its head has it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.head = torch.nn.Linear(9 * 400, 5), torch.nn.Linear(5, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.fc(images.flatten(1))))


def test_what_a_module_takes_is_replaced(seen):
    """Layers called `in:` are read and changed at the same place."""
    torch.manual_seed(0)
    network = Functional()
    one = ModuleAgent(network, {"hidden": "in:head", "action": "head"}, (9, 20, 20))
    values = np.random.default_rng(1).random((N, 5)).astype(np.float32)
    with patched(one, {"hidden": replaced(values)}):
        found = extract_activations(one, seen)
    with torch.no_grad():
        expected = network.head(torch.from_numpy(values)).numpy()
    np.testing.assert_array_equal(found["hidden"], values)
    np.testing.assert_allclose(found["action"], expected, rtol=1e-6)
