"""Averages over classes and cohorts against NumPy, and intervals against the scalar bootstrap."""

import numpy as np
import pytest
import xarray as xr

from tests.figures.probed import probed
from tests.figures.test_cohort import gathered
from vrlprobe.analyses.shared.average import by_class, ends_by_class, of_class, returns, run_classes
from vrlprobe.errors import SampleError
from vrlprobe.stats.bootstrap import bootstrap_interval, mean, mean_interval

RUNS = ("a", "b", "c", "d")
RETURNS = [950.0, 920.0, 400.0, 10.0]


def test_intervals_are_those_of_the_scalar_bootstrap() -> None:
    values = np.random.default_rng(0).normal(size=(20, 2, 3))
    average, low, high = mean_interval(values)
    np.testing.assert_allclose(average, values.mean(axis=0))
    for place in np.ndindex(2, 3):
        expected = bootstrap_interval(values[:, *place], mean)
        np.testing.assert_allclose((low[place], high[place]), expected, atol=0.04)


def test_missing_values_are_left_out() -> None:
    values = np.full((7, 3), np.nan)
    values[:6, 0], values[:5, 1] = [1.0, 3.0, 3.0, 5.0, 2.0, 4.0], [4.0, 5.0, 6.0, 7.0, 8.0]
    average, low, high = mean_interval(values)
    np.testing.assert_array_equal(average, [3.0, 6.0, np.nan])
    np.testing.assert_array_equal(np.isnan(low), [False, True, True])  # five are too few
    np.testing.assert_array_equal(np.isnan(high), [False, True, True])
    assert 1 <= low[0] < 3 < high[0] <= 5


def test_classes_by_the_return_at_the_end() -> None:
    result = probed(runs=RUNS, returns=RETURNS)
    assert list(run_classes(result).values()) == ["good", "good", "middle", "bad"]
    assert list(run_classes(result, good=930).values()) == ["good", "middle", "middle", "bad"]
    assert run_classes(result.assign_attrs(configs="{}"), 900, 30)["a"] == "good"


def test_a_class_is_by_the_end_of_the_run_whatever_is_probed() -> None:
    result = probed(runs=RUNS, returns=RETURNS)
    result["episode_return"].values[:, :2] = [[0, 5]] * 4
    early = result.sel(frame=[0, 1000])
    assert list(run_classes(early).values()) == ["good", "good", "middle", "bad"]
    assert of_class(early, "good")["run"].values.tolist() == ["a", "b"]
    found = ends_by_class(result, frame=1000)
    expected = result["test_r2"].sel(frame=1000, run=["a", "b"]).median("run")
    np.testing.assert_array_equal(found["test_r2"].sel({"class": "good"}), expected)
    older = result.drop_vars("final_return")
    np.testing.assert_array_equal(ends_by_class(older, frame=1000)["n_runs"], [2, 1, 1])
    assert set(run_classes(older.sel(frame=[0, 1000])).values()) == {"bad"}


def test_errors_are_averaged_over_the_runs_of_a_class() -> None:
    result = probed(runs=RUNS, returns=RETURNS)
    found = by_class(result, ["height"])
    assert found["class"].values.tolist() == ["good", "middle", "bad"]
    assert found["n_runs"].values.tolist() == [2, 1, 1]
    assert found.attrs["n_runs"] == 4
    expected = result["test_mse"].sel(run=["a", "b"], component=["height"]).mean("run")
    np.testing.assert_allclose(found["test_mse"].sel({"class": "good"}), expected)
    one = found.sel({"class": "bad"})
    assert np.isnan(one["low"]).all()


def test_a_class_is_averaged_where_all_its_runs_were_probed() -> None:
    result = probed(runs=RUNS, returns=RETURNS)
    result["checkpoint"].values[0, 1] = ""
    result["test_mse"].values[0, 1] = np.nan
    good = by_class(result).sel({"class": "good"})["test_mse"]
    assert np.isfinite(good.isel(frame=[0, 2], component=[0, 1, 2])).all()
    assert np.isnan(good.isel(frame=1)).all()
    result["checkpoint"].values[:2] = [["a", "", ""], ["", "b", "b"]]
    with pytest.raises(SampleError, match="good runs a, b were probed at no common frame"):
        by_class(result)


def test_the_ends_of_a_class_are_medians_each_at_its_own_last_frame() -> None:
    result = probed(runs=RUNS, returns=[950.0, 920.0, 930.0, 10.0])
    result["checkpoint"].values[0] = ["a", "a", ""]
    result["test_r2"].values[0, 2, :, :3] = -np.inf
    result["test_r2"].values[1, 2, :, :3] = -40.0
    found = ends_by_class(result)
    assert found["class"].values.tolist() == ["good", "bad"]
    assert found["n_runs"].values.tolist() == [3, 1]
    ends = result.isel(run=[0, 1, 2], frame=xr.DataArray([1, 2, 2], dims="run"))
    for name in ("test_r2", "sparsity"):
        good = found[name].sel({"class": "good"})
        np.testing.assert_array_equal(good, np.median(ends[name], axis=0))
    assert (found["test_r2"].sel({"class": "good"}, drop=True).isel(component=[0, 1, 2]) > -1).all()
    alone = found["test_r2"].sel({"class": "bad"})
    np.testing.assert_array_equal(alone, result["test_r2"].isel(run=3, frame=2))


def test_the_runs_of_one_class() -> None:
    result = probed(runs=RUNS, returns=RETURNS)
    assert of_class(result, "good")["run"].values.tolist() == ["a", "b"]
    with pytest.raises(SampleError, match="no run is bad; they return: a 950, b 920, c 400, d 10"):
        of_class(result, "bad", bad=5)


def test_what_is_not_known() -> None:
    result = probed(runs=RUNS, returns=RETURNS)
    with pytest.raises(SampleError, match="give both"):
        run_classes(result.assign_attrs(configs="{}"))
    with pytest.raises(SampleError, match="a: bad returns end at 30"):
        run_classes(result, good=20)


def test_returns_at_the_frames_that_all_runs_share() -> None:
    found = gathered(0)
    found["episode_return"].values[3, 1] = np.nan
    curves = returns({"x": found}).sel(cohort="x", task="walker_walk")
    assert curves["frame"].values.tolist() == [0, 2000]
    assert curves["n_runs"].item() == 8
    expected = found["episode_return"].values[:, [0, 2]]
    np.testing.assert_allclose(curves["mean"], expected.mean(axis=0))
    np.testing.assert_allclose(curves["percentile_5"], np.quantile(expected, 0.05, axis=0))


def test_cohorts_that_share_no_frame_inside() -> None:
    found = gathered(0)
    found["episode_return"].values[0, :2] = np.nan
    found["episode_return"].values[1, 2] = np.nan
    with pytest.raises(SampleError, match="walker_walk in x were evaluated at no common frame"):
        returns({"x": found})
