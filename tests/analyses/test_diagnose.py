"""Diagnoses of agents in which exactly one layer is broken, of intact ones, and of a real one."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from tests.analyses.planted import MODULES, break_layer
from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses import diagnose
from vrlprobe.analyses.shared.advice import blamed, culprit
from vrlprobe.analyses.shared.gap import explained, folds, r2_gap
from vrlprobe.errors import TransplantError
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURES = Path(__file__).parents[2] / "fixtures"
CARTPOLE = {"task": "cartpole_balance", "action_dim": 1, "action_repeat": 50, "render": "fast"}
FAULTS = [(layer, seed) for seed in range(3) for layer in MODULES][:20]
"""Every layer, and the head behind the last one, as `action`."""


@pytest.fixture
def seen(make_run):
    """A sample set of synthetic episodes."""
    with open_run(make_run("samples.h5", seed=50, episodes=6, config=CARTPOLE)) as run:
        return make_samples(run, 60)


@pytest.mark.parametrize(("layer", "seed"), FAULTS)
def test_exactly_the_broken_layer_is_diagnosed(plant, seen, layer, seed):
    good = plant("good.h5", 100 + seed)
    broken = plant("broken.h5", 200 + seed, break_layer(layer))
    with open_runs(good, broken) as runs:
        result = diagnose(runs, f"{good}", seen, n_samples=40)
    (reference,) = result["reference"].values
    part = "encoder" if layer.startswith("cnn") else "actor"
    other = "actor" if part == "encoder" else "encoder"
    assert blamed(result, result.sel(run="broken"), reference) == {part: True, other: False}
    assert culprit(result, "broken", reference) == layer
    assert culprit(result, "good", reference) == ""
    text = result["text"].sel(run="broken").item()
    assert f"the {part} collapses the other part of {reference}" in text
    assert "part " not in result["text"].sel(run="good").item()


@pytest.mark.parametrize("seed", range(5))
def test_an_intact_pair_is_not_blamed(plant, seen, seed):
    with open_runs(plant("a.h5", seed), plant("b.h5", 50 + seed)) as runs:
        result = diagnose(runs[0], runs[1], seen, n_samples=30)
    (reference,) = result["reference"].values
    assert culprit(result, "a", reference) == ""
    assert set(blamed(result, result.isel(run=0), reference).values()) == {False}
    assert result["text"].item().endswith("nothing: it is not in action collapse")


def test_the_gap_is_that_of_probes_fitted_to_other_episodes(plant, seen):
    rows = np.arange(len(seen))
    with open_run(plant("a.h5", 1)) as run:
        agent = run.agent(0)
    (errors,) = explained(agent, seen, rows, ["mlp1"])
    episodes = seen.episodes
    turns = folds(episodes)
    assert sorted(np.concatenate([test for *_, test in turns]).tolist()) == rows.tolist()
    for train, val, test in turns:
        sets = [set(episodes[part].tolist()) for part in (train, val, test)]
        assert len(set.union(*sets)) == sum(map(len, sets))
    X = extract_activations(agent, seen.observations(rows), "mlp1")["mlp1"].astype(np.float64)
    states = seen.states[:, seen.states.std(axis=0) > 1e-9]
    states /= states.std(axis=0)
    alone = np.empty_like(states)
    for train, val, test in turns:
        fitted = RidgeCV(10.0 ** np.arange(-8, 4)).fit(
            X[np.r_[train, val]], states[np.r_[train, val]]
        )
        alone[test] = (fitted.predict(X[test]) - states[test]) ** 2
    assert 0.3 < errors.mean() / alone.mean() < 3
    gap, low, high = r2_gap(errors[None], errors[None] + 0.25, 0)
    assert gap == pytest.approx(0.25)
    assert np.isnan([low, high]).all()  # all alike
    noisy = errors[None] + np.random.default_rng(0).random(errors.shape)
    gap, low, high = r2_gap(errors[None], noisy, 0)
    assert low < gap < high


def test_without_a_reference_blank_networks_tell(plant, seen):
    broken = plant("broken.h5", 2, break_layer("mlp1"))
    with open_run(broken) as run:
        result = diagnose(run, samples=seen, n_samples=40)
    assert result["reference"].values.tolist() == ["broken, blank"]
    assert culprit(result, "broken", "broken, blank") == "mlp1"
    assert result["q_spread"].notnull().all()


def test_mistakes(plant, seen):
    with open_runs(plant("a.h5", 1), plant("small.h5", 2, image_size=24)) as runs:
        with pytest.raises(TransplantError, match="image_size"):
            diagnose(runs[0], runs[1], seen)
        with pytest.raises(TransplantError, match="no such file"):
            diagnose(runs[0], "none.h5", seen)
        with pytest.raises(ValueError, match="n_samples must be at least 4"):
            diagnose(runs[0], samples=seen, n_samples=3)


def test_the_fixtures():
    """The collapsed walker's trunk is to blame: with mlp0 of another agent its actions vary."""
    names = ("collapsed", "learned")
    with open_runs(*(FIXTURES / f"walker_walk-{name}.h5" for name in names)) as runs:
        result = diagnose(runs[0], runs[1], make_samples(runs[1], 120), n_samples=60)
    (run,), (reference,) = result["run"].values, result["reference"].values
    assert result["verdict"].item() == "stuck"
    assert result["since"].item() == 8000
    assert blamed(result, result.isel(run=0), reference) == {"encoder": False, "actor": True}
    assert result["first_layer"].item() == "mlp0"
    variation = result["variation"].sel(layer="mlp0")
    assert variation.sel(agent=run) < 0.02 < 0.3 < variation.sel(agent=reference)
    assert "do     start again with another seed" in result["text"].item()
