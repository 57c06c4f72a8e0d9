"""Rank correlations of what a probe finds with what a training becomes."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from vrlprobe.analyses import predict
from vrlprobe.analyses._predict import rank_correlations
from vrlprobe.cli.predict import describe
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.reader import open_run

LAYERS, COMPONENTS = ["cnn4", "mlp1"], ["height", "speed", "still"]


def probed(r2: dict[str, tuple[float, float]]) -> xr.Dataset:
    """Inits by their digest: the R² of cnn4 and mlp1, a little less for the second component."""
    values = np.array([[[[v, v - 0.1, np.nan] for v in layers]] for layers in r2.values()])
    return xr.Dataset(
        {
            "test_r2": (("run", "frame", "layer", "component"), values),
            "checkpoint": (("run", "frame"), np.array([[digest] for digest in r2], object)),
        },
        coords={
            "run": [f"init{n}" for n in range(len(r2))],
            "frame": [0],
            "layer": LAYERS,
            "component": COMPONENTS,
        },
        attrs={"vrlprobe": "probe", "samples": "5a"},
    )


@pytest.fixture
def trained(make_run):
    """Runs by (digest of the init, reward a step): a return is 40 of them; good from 20."""

    def make(*kinds: tuple[str, float]):
        runs = []
        for seed, (digest, reward) in enumerate(kinds):
            config = {"init": digest, "init_digest": digest, "rule_window": 1000}
            log = {"action_spread": [0.5] * 3, "grad_norm": [[0.1] * 3] * 3}
            path = make_run(f"{digest}-{seed}.h5", seed=seed, reward=reward, config=config, log=log)
            runs.append(open_run(path))
        return runs

    return make


def test_rank_correlations_are_scipys():
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 5, (12, 3)).astype(float), rng.standard_normal((12, 2))
    expected = [[stats.spearmanr(a, b).statistic for b in right.T] for a in left.T]
    np.testing.assert_allclose(rank_correlations(left, right), expected, atol=1e-12)
    assert np.isnan(rank_correlations(np.ones((4, 1)), np.arange(4.0)[:, None])).all()


def test_a_layer_that_predicts_and_one_that_does_not(trained):
    r2 = {"a": (0.5, 0.9), "b": (0.7, 0.6), "c": (0.4, 0.3), "d": (0.6, 0.1)}
    rewards = {"a": (1.0, 1.0), "b": (1.0, 0.1), "c": (0.3, 0.2), "d": (0.05, 0.1)}
    runs = trained(*((name, reward) for name, both in rewards.items() for reward in both))
    found = predict(probed(r2), runs)
    assert found["runs"].values.tolist() == [2] * 4
    assert found["component"].values.tolist() == ["height", "speed", "mean"]
    success, returned = (
        found["outcome"].sel(measure=name).values for name in ("success", "return")
    )
    assert success.tolist() == [1, 0.5, 0, 0]
    np.testing.assert_allclose(returned, [40, 22, 10, 3], rtol=1e-5)
    error = found["error"].sel(component="mean")
    np.testing.assert_allclose(error.sel(layer="mlp1"), [0.15, 0.45, 0.75, 0.95])
    at = {"component": "mean", "measure": "return"}
    estimate, low, high = found["correlation"].sel(layer="mlp1", **at).values
    assert estimate == pytest.approx(-1)
    assert np.isnan([low, high]).all()  # all resamples of four would say so, and p 2 of 24
    assert found["p"].sel(layer="mlp1", **at) == pytest.approx(2 / 24, abs=0.02)
    other = found["correlation"].sel(layer="cnn4", bound="estimate", **at)
    wanted = stats.spearmanr([0.5, 0.3, 0.6, 0.4], returned).statistic
    assert float(other) == pytest.approx(wanted)
    assert predict(probed(r2), runs).equals(found)
    told = describe(found, "mean")
    assert "-1.00 (p 0.0" in told
    assert told.endswith("cells of a grid that share a CNN or an MLP are not")
    for run in runs:
        run.close()


def test_six_inits_have_an_interval(trained):
    errors = {name: (0.1 * n, 0.9 - 0.1 * n) for n, name in enumerate("abcdef")}
    rewards = dict(zip("abcdef", (0.3, 0.2, 0.5, 0.4, 1.0, 0.9), strict=True))
    found = predict(probed(errors), trained(*rewards.items()))
    at = {"component": "mean", "measure": "return"}
    estimate, low, high = found["correlation"].sel(layer="mlp1", **at).values
    assert estimate == pytest.approx(stats.spearmanr(range(6), list(rewards.values())).statistic)
    assert -1 <= low < 0.5 < estimate < high <= 1 + 1e-12
    assert f"{estimate:+.2f} (95% {low:+.2f} to" in describe(found, "mean")


def test_equal_outcomes_have_no_correlation(trained):
    runs = trained(("a", 1.0), ("b", 1.0), ("c", 1.0))
    found = predict(probed({name: (0.1 * n, 0.2 * n) for n, name in enumerate("abc")}), runs)
    assert np.isnan(found["correlation"].sel(measure="success")).all()
    assert np.isnan(found["p"].sel(measure="success")).all()
    assert json.loads(found.attrs["arguments"])["seed"] == 0


def test_too_few_inits_with_runs(trained):
    with pytest.raises(SampleError, match=r"2 of the 3 probed inits have runs .* at least 3"):
        predict(
            probed({"a": (0.1, 0.2), "b": (0.2, 0.1), "x": (0.3, 0.2)}),
            trained(("a", 1.0), ("b", 0.1)),
        )


@pytest.mark.parametrize("given", ["probe.nc", xr.Dataset(attrs={"vrlprobe": "cohort"})])
def test_something_else_than_a_probe_is_told(trained, given):
    with pytest.raises(FormatError, match="a result of probe is needed, not"):
        predict(given, trained(("a", 1.0)))
