"""Ablations against projections written out by hand, planted networks, and real agents."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from torch import nn

from tests.analyses.planted import save
from vrlprobe.agents.own import register_agent
from vrlprobe.agents.patch import without_directions
from vrlprobe.analyses import ablate
from vrlprobe.analyses.shared.ablation import (
    Question,
    edited,
    matched_directions,
    probe_directions,
    strongest_units,
    variance_share,
)
from vrlprobe.analyses.shared.assembly import Transplant
from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.probes.registry import ProbeSettings
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

CARTPOLE = {
    **{"task": "cartpole_balance", "action_dim": 1, "action_repeat": 50},
    **{"render": "fast", "channels": 3},
}
"""Twenty steps an episode."""


@pytest.fixture
def planted():
    """A layer of 12 units in which a component is linear along one direction, with noise.

    The component's own direction has a tenth of the variance of the others.
    """
    rng = np.random.default_rng(0)
    component = rng.standard_normal((900, 1))
    axis = np.zeros(12)
    axis[3] = 1.0
    others = 3 * rng.standard_normal((900, 12))
    others[:, 3] = 0
    values = (component * axis + others + 5).astype(np.float32)
    parts = {"train": slice(0, 500), "val": slice(500, 700), "test": slice(700, 900)}
    layers = {name: values[rows] for name, rows in parts.items()}
    states = {name: component[rows] for name, rows in parts.items()}
    return axis, layers, states


def asked(kind="pattern", directions=1, probe="ridge", units=2):
    return Question("mlp1", "height", ProbeSettings(probe), kind, directions, units)


@pytest.mark.parametrize("probe", ["ridge", "omp"])
@pytest.mark.parametrize("kind", ["pattern", "weights"])
def test_the_planted_direction_is_found_and_gone_after_the_projection(planted, kind, probe):
    axis, layers, states = planted
    (found,) = probe_directions(layers, states, asked(kind, probe=probe))
    assert abs(found @ axis) > (0.9 if kind == "pattern" else 0.999)
    centre = layers["train"].mean(axis=0, dtype=np.float64)
    edit = without_directions(found[None], centre)
    left = {name: edited(values, edit) for name, values in layers.items()}
    by_hand = layers["test"] - np.outer((layers["test"] - centre) @ found, found)
    np.testing.assert_allclose(left["test"], by_hand, atol=1e-4)
    fresh = LinearRegression().fit(left["train"], states["train"])
    before = LinearRegression().fit(layers["train"], states["train"])
    assert before.score(layers["test"], states["test"]) > 0.99
    assert fresh.score(left["test"], states["test"]) < 0.1


def test_the_pattern_is_the_covariance_with_the_prediction(planted):
    _, layers, states = planted
    X = layers["train"].astype(np.float64)
    weights = LinearRegression().fit(X, states["train"]).coef_[0]
    expected = np.cov(X.T) @ weights
    (found,) = probe_directions(layers, states, asked())
    assert found @ expected / np.linalg.norm(expected) == pytest.approx(1, abs=1e-6)


def test_several_directions_are_orthonormal_and_end_where_the_layer_does(planted):
    _, layers, states = planted
    found = probe_directions(layers, states, asked(directions=3))
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)
    narrow = {name: values[:, :2] for name, values in layers.items()}
    assert len(probe_directions(narrow, states, asked(directions=5))) <= 2


@pytest.mark.parametrize("width", [12, 2000])
def test_random_directions_remove_the_same_variance(planted, width):
    rng = np.random.default_rng(1)
    scales = np.geomspace(10, 0.1, width)
    train = (rng.standard_normal((300, width)) * scales).astype(np.float32)
    directions = np.linalg.qr(rng.standard_normal((width, 2)))[0].T
    centre = train.mean(axis=0, dtype=np.float64)
    wanted = variance_share(train, without_directions(directions, centre))
    draws = [matched_directions(train, directions, np.random.default_rng(seed)) for seed in (0, 1)]
    for drawn in draws:
        np.testing.assert_allclose(drawn @ drawn.T, np.eye(2), atol=1e-6)
        found = variance_share(train, without_directions(drawn, centre))
        assert found == pytest.approx(wanted, rel=1e-3)
    assert abs(draws[0] @ draws[1].T).max() < 0.99


def test_the_strongest_units_are_those_of_the_largest_share(planted):
    axis, layers, states = planted
    assert strongest_units(layers, states, asked(units=1)).tolist() == [int(axis.argmax())]


@pytest.fixture
def seen(make_run):
    """A sample set of synthetic episodes."""
    with open_run(make_run("samples.h5", seed=50, episodes=6, config=CARTPOLE)) as run:
        return make_samples(run, None)


@pytest.fixture
def agent(make_run, tmp_path, seen):
    """A run whose networks act."""
    return save(make_run("source.h5", seed=1, config=CARTPOLE), tmp_path / "a.h5", 1, _keep, seen)


def _keep(parameters):
    """Nothing is changed."""


def test_every_condition_is_played_from_the_same_starts(agent, seen):
    settings = {"layer": "mlp1", "component": "height", "episodes": 6, "draws": 2}
    with open_run(agent) as run:
        result = ablate(run, seen, **settings)
        again = ablate(run, seen, **settings)
    assert result.identical(again)
    part = result.isel(run=0)
    returns = part["episode_return"]
    assert returns.sel(condition=["intact", "probe", "units"], draw=0).notnull().all()
    assert returns.sel(condition=["random", "shuffled"]).notnull().all()
    assert returns.sel(condition="probe", draw=1).isnull().all()
    intact = returns.sel(condition="intact", draw=0).values
    for condition in ("probe", "random"):
        change = (returns.sel(condition=condition).mean("draw").values - intact).mean()
        found = part["return_change"].sel(condition=condition, bound="estimate").item()
        assert found == pytest.approx(change)
    beyond = part["beyond"].sel(condition="random", bound="estimate").item()
    change = part["return_change"].sel(bound="estimate")
    expected = change.sel(condition="probe").item() - change.sel(condition="random").item()
    assert beyond == pytest.approx(expected)
    low, high = part["return_change"].sel(condition="probe", bound=["low", "high"]).values
    assert np.isnan([low, high]).all() or low <= high
    share = part["variance_share"]
    assert share.sel(condition="intact", draw=0) == 0
    assert share.sel(condition="random").values == pytest.approx(
        share.sel(condition="probe", draw=0).item(), rel=1e-2
    )
    assert result.attrs["answer"].startswith("without the probe's direction of height in mlp1 a")


def test_an_agent_of_ones_own(tmp_path, make_run, seen):
    """A network whose action is one unit of its hidden layer: its ablation stops the action."""

    def make():
        head = nn.Linear(8, 1, bias=False)
        nn.init.zeros_(head.weight)
        with torch.no_grad():
            head.weight[0, 0] = 1.0
        hidden = nn.Sequential(nn.Flatten(), nn.Linear(9 * 400, 8))
        return nn.Sequential(hidden, nn.Tanh(), head)

    layers = {"hidden": "1", "action": "2"}
    register_agent("probed-head", make, layers=layers, image_shape=(9, 20, 20))
    torch.manual_seed(0)
    network = make()
    tensors = {f"network/{name}": value.numpy() for name, value in network.state_dict().items()}
    with open_run(make_run("own-source.h5", seed=2, config=CARTPOLE)) as run:
        config = {**run.config, "architecture": "probed-head"}
    path = tmp_path / "own.h5"
    Transplant("own", config, tensors, {}).save(path)
    with open_run(path) as run:
        result = ablate(run, seen, layer="hidden", component="height", episodes=1, draws=1)
        assert result["episode_return"].sel(condition="probe", draw=0).notnull().all()
        assert result["action_rmse"].sel(condition="probe", draw=0) > 0
        units = ablate(run, seen, layer="hidden", component="height", episodes=0, units=8)
    assert units["action_spread"].sel(condition="units", draw=0).item() == pytest.approx(
        0, abs=1e-6
    )


def test_what_was_played_is_not_played_again(agent, seen, tmp_path):
    counts = []

    def count(items):
        counts.append(len(items))
        return items

    settings = {"layer": "mlp1", "component": "height", "episodes": 0, "cache": tmp_path / "c"}
    with open_run(agent) as run:
        first = ablate(run, seen, draws=1, track=count, **settings)
        ablate(run, seen, draws=2, track=count, **settings)
        other = ablate(run, seen, draws=1, track=count, **{**settings, "layer": "mlp2"})
        two = ablate(run, seen, draws=1, n_jobs=2, **{**settings, "cache": None})
    assert counts == [5, 2, 5]
    assert first.identical(two)
    assert not first["test_r2"].equals(other["test_r2"])
    assert first["return_change"].isnull().all()


def test_several_agents_have_an_interval_over_agents(make_run, tmp_path, seen):
    source = make_run("source.h5", seed=1, config=CARTPOLE)
    paths = [save(source, tmp_path / f"{seed}.h5", seed, _keep, seen) for seed in range(6)]
    with open_runs(*paths) as runs:
        result = ablate(runs, seen, layer="mlp1", component="height", episodes=1, draws=1)
    each = result["return_change"].sel(condition="probe", bound="estimate").values
    mean, low, high = result["mean_change"].sel(condition="probe").values
    assert mean == pytest.approx(each.mean())
    assert low < mean < high


def test_mistakes(agent, seen):
    with open_run(agent) as run:
        for options, error, message in (
            ({"layer": "mlp9"}, UnknownLayerError, "no layer 'mlp9'"),
            ({"component": "hight"}, SampleError, "no component 'hight'"),
            ({"component": ["height"]}, SampleError, "one component is ablated"),
            ({"probe": "mlp"}, ValueError, "a linear probe is ridge or omp, not 'mlp'"),
            ({"direction": "up"}, ValueError, "a direction is pattern or weights, not 'up'"),
            ({"draws": 0}, ValueError, "draws must be at least 1"),
            ({"episodes": -1}, ValueError, "episodes must be at least 0"),
        ):
            given = {"layer": "mlp1", "component": "height", **options}
            with pytest.raises(error, match=message):
                ablate(run, seen, **given)
