"""Pairs of layers compared over runs, against counts by hand."""

import numpy as np
import pytest
from scipy import stats

from tests.figures.probed import probed
from vrlprobe.analyses._order import OVERALL, THESE, order, runs_needed
from vrlprobe.errors import FormatError, SampleError, UnknownLayerError
from vrlprobe.stats.comparison import rank_sum_p, signed_rank_p

RUNS = [f"seed{i}" for i in range(10)]


def test_shares_and_ratios_by_hand() -> None:
    result = probed(runs=RUNS, frames=(0, 1000))
    found = order(result, ["height"])
    last = result["test_mse"].sel(frame=1000, component="height")
    ours, theirs = last.sel(layer="cnn1").values, last.sel(layer="mlp0").values
    cell = found.sel(component="height", layer="cnn1", other="mlp0")
    assert cell["wins"].item() == (ours < theirs).mean()
    np.testing.assert_allclose(cell["ratio"], np.exp(np.log(ours / theirs).mean()))
    back = found.sel(component="height", layer="mlp0", other="cnn1")
    np.testing.assert_allclose(cell["ratio"] * back["ratio"], 1)
    assert cell["p"].item() == back["p"].item()
    assert found["component"].values.tolist() == ["height"]
    for asked in ("height", ["height", "height"]):  # one name by itself, or given twice
        assert order(result, asked).equals(found)


def test_a_layer_that_always_wins_is_significant_and_one_that_is_alike_is_not() -> None:
    result = probed(runs=RUNS, frames=(0,)).sel(layer=["cnn0", "cnn1", "cnn4"])
    result["test_mse"].loc[{"layer": "cnn4"}] = 1e-3
    found = order(result).sel(component="height")
    assert found["p"].sel(layer="cnn4", other="cnn0").item() == pytest.approx(3 * 2**-9)
    assert found["p"].sel(layer="cnn0", other="cnn1").item() > 0.05


def test_runs_needed_follow_from_the_number_of_pairs() -> None:
    assert runs_needed(2) == 6  # 2 / 2^6 < 0.05 < 2 / 2^5
    assert 28 * 2 / 2 ** runs_needed(8) < 0.05 < 28 * 2 / 2 ** (runs_needed(8) - 1)


def test_what_cannot_be_ordered() -> None:
    with pytest.raises(SampleError, match="at least two, found 1: seed1"):
        order(probed())
    with pytest.raises(SampleError, match="still is constant"):
        order(probed(runs=("a", "b")), ["still"])
    assert order(probed(runs=("a", "b")), [])["component"].values.tolist() == [OVERALL]
    with pytest.raises(FormatError, match="no component 'stil' here: did you mean still"):
        order(probed(runs=("a", "b")), ["stil"])
    with pytest.raises(UnknownLayerError, match="at least two layers, found cnn0"):
        order(probed(runs=("a", "b")).sel(layer=["cnn0"]))


@pytest.fixture
def touching():
    """Ten runs; in the first one `torso_velocity` is constant: its errors are all 0."""
    result = probed(runs=RUNS, frames=(0,))
    at = {"run": "seed0", "component": "torso_velocity"}
    result["test_r2"].loc[at], result["test_mse"].loc[at] = np.nan, 0.0
    return result


def test_a_component_that_is_constant_in_one_run_is_left_out_there(touching) -> None:
    with pytest.warns(UserWarning, match="of 10 runs, and left out there: torso_velocity in 1"):
        found = order(touching, ["torso_velocity", "height"])
    rest = order(touching.sel(run=RUNS[1:]), ["torso_velocity"])
    one = found.sel(component="torso_velocity")
    for name in ("wins", "ratio", "p"):
        np.testing.assert_allclose(one[name], rest[name].isel(component=0))
    assert found["runs"].values.tolist() == [10, 9, 10]
    assert np.isfinite(found["p"].sel(layer="cnn0", other="cnn1")).all()


def test_components_leave_the_others_out_of_the_overall_table() -> None:
    result = probed(runs=RUNS, frames=(0,))
    names = ["height", "torso_velocity"]
    found = order(result, names)
    alone = order(result.sel(component=names))
    assert found["component"].values.tolist() == [THESE, *names]
    assert alone["component"].values.tolist() == [OVERALL, *names]
    np.testing.assert_array_equal(found["ratio"], alone["ratio"])


def test_errors_of_nothing_are_ties_and_wins() -> None:
    result = probed(runs=RUNS, frames=(0,))
    result["test_mse"].loc[{"layer": ["cnn4", "mlp0"]}] = 0.0
    found = order(result, "height").isel(component=0)
    assert found["wins"].sel(layer="cnn4", other="mlp0") == 0.5
    assert found["wins"].sel(layer="cnn4", other="cnn0") == 1
    assert found["p"].sel(layer="cnn4", other="mlp0") == 1


def test_rank_tests_leave_nan_out() -> None:
    values = np.array([0.3, -0.2, np.nan, 0.9, 0.4, 0.8])
    known = values[~np.isnan(values)]
    assert signed_rank_p(values) == pytest.approx(stats.wilcoxon(known, method="exact").pvalue)
    exact = stats.mannwhitneyu(known, -known, method="exact").pvalue
    assert rank_sum_p(values, -values) == pytest.approx(exact)
    assert rank_sum_p(values, np.array([np.nan])) == signed_rank_p(np.array([np.nan])) == 1
