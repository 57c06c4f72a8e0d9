"""Patched layers of agents in which exactly one layer is broken, and of real ones."""

from pathlib import Path

import numpy as np
import pytest

from tests.analyses.planted import break_layer
from vrlprobe import metrics
from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses import patch
from vrlprobe.analyses.shared.culprit import bracket, first_layer
from vrlprobe.errors import TransplantError, UnknownLayerError
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURES = Path(__file__).parents[2] / "fixtures"
CARTPOLE = {"task": "cartpole_balance", "action_dim": 1, "action_repeat": 50, "render": "fast"}
LAYERS = ["cnn1", "cnn2", "cnn3", "cnn4", "mlp0", "mlp1", "mlp2"]


@pytest.fixture
def seen(make_run):
    """A sample set of synthetic episodes."""
    with open_run(make_run("samples.h5", seed=50, episodes=4, config=CARTPOLE)) as run:
        return make_samples(run, 60)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("seed", range(3))
def test_the_broken_layer_is_the_first_from_which_on_actions_vary(plant, seen, layer, seed):
    good = plant("good.h5", 100 + seed)
    broken = plant("broken.h5", 200 + seed, break_layer(layer))
    with open_runs(good, broken) as runs:
        result = patch(runs[1], runs[0], seen)
    assert result["own_spread"].item() < 1e-6
    assert result["donor_spread"].item() > 0.1
    assert result["first_layer"].item() == layer
    assert f"the actions of broken vary again from {layer} on" in result.attrs["answer"]


def test_a_broken_head_is_behind_every_layer(plant, seen):
    with open_runs(plant("good.h5", 1), plant("broken.h5", 2, break_layer("action"))) as runs:
        result = patch(runs[1], runs[0], seen)
    assert result["first_layer"].item() == ""
    assert "so what follows its last layer is to blame" in result.attrs["answer"]


def test_an_agent_that_acts_is_not_blamed(plant, seen):
    with open_runs(plant("a.h5", 1), plant("b.h5", 2)) as runs:
        result = patch(runs, runs[0], seen)
    assert "b acts (action std " in result.attrs["answer"]
    assert "blame" not in result.attrs["answer"]


def test_the_spread_is_that_of_the_rest_of_the_network(plant, seen):
    with open_runs(plant("a.h5", 1), plant("b.h5", 2)) as runs:
        result = patch(runs[0], runs[1], seen, layers=["mlp1"])
        one, other = (run.agent(run.frames[-1]) for run in runs)
        every = seen.observations(np.arange(len(seen)))
        theirs = extract_activations(other, every, "mlp1")["mlp1"]
        hidden = np.maximum(
            theirs @ one.actor.policy[2].weight.detach().numpy().T
            + one.actor.policy[2].bias.detach().numpy(), 0,
        )  # fmt: skip
        head = one.actor.policy[4]
        actions = np.tanh(hidden @ head.weight.detach().numpy().T + head.bias.detach().numpy())
    found = result["action_spread"].item()
    assert found == pytest.approx(metrics.action_std(actions), rel=1e-4)
    share = theirs.var(axis=0).mean() / (theirs**2).mean()
    assert result["donor_variation"].item() == pytest.approx(share, rel=1e-4)


def test_layers_of_other_widths_are_left_out(plant, seen):
    wide = plant("wide.h5", 1, hidden_dim=24)
    broken = plant("broken.h5", 2, break_layer("mlp2"))
    with (
        open_runs(wide, broken) as runs,
        pytest.warns(UserWarning, match="not patched, as the widths differ: mlp1, mlp2"),
    ):
        result = patch(runs[1], runs[0], seen)
    assert result["action_spread"].sel(layer=["mlp1", "mlp2"]).isnull().all()
    assert (
        "so the part behind mlp0 is to blame, of which mlp1 and mlp2 could"
        in (result.attrs["answer"])
    )


def test_the_first_layer_of_a_row():
    nan = float("nan")
    for row, first, between in (
        ([0, 0, 0.5], "c", ("b", "c", [])),
        ([0, nan, 0.5], "c", ("a", "c", ["b"])),
        ([0.5, 0, 0.5], "c", ("b", "c", [])),
        ([0, 0, 0], "", ("c", "", [])),
        ([0, nan, nan], "", ("a", "", ["b", "c"])),
        ([0.5, 0.5, nan], "a", ("", "a", [])),
    ):
        spread = dict(zip("abc", map(float, row), strict=True))
        assert first_layer(spread) == first, row
        assert bracket(spread) == between, row


def test_mistakes(plant, seen):
    first = plant("a.h5", 1)
    with open_runs(first, plant("small.h5", 2, image_size=24)) as runs:
        with pytest.raises(TransplantError, match=r"cannot be patched into a\.h5: image_size"):
            patch(runs[0], runs[1], seen)
        with pytest.raises(UnknownLayerError, match="no layer 'mlp9'"):
            patch(runs[0], f"{first}@0", seen, layers=["mlp9"])
        with pytest.raises(TransplantError, match="no such file"):
            patch(runs[0], "none.h5", seen)
        with pytest.raises(ValueError, match="n_samples must be at least 2"):
            patch(runs[0], f"{first}@0", seen, n_samples=1)


def test_the_fixtures():
    """The collapsed walker's actions vary again behind its trunk."""
    names = ("collapsed", "learned")
    with open_runs(*(FIXTURES / f"walker_walk-{name}.h5" for name in names)) as runs:
        result = patch(runs[0], runs[1], make_samples(runs[1], 120), layers=["cnn4", "mlp0"])
        assert result.attrs["n_samples"] == 120
    assert result["first_layer"].item() == "mlp0"
