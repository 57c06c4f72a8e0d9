"""Classes and aggregates against closed forms, SciPy and the paper's own figures."""

import numpy as np
import pytest
from scipy import stats

from vrlprobe.cohort import (
    bootstrap_interval,
    classify,
    final_deviation,
    interquartile_mean,
    mean,
    percentiles,
)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [(968, "good"), (900, "good"), (899.9, "middle"), (30.1, "middle"), (30, "bad"), (0, "bad")],
)
def test_classes_of_the_paper(returned: float, expected: str) -> None:
    assert classify(returned, 900, 30) == expected


def test_classes_need_sound_thresholds_and_a_return() -> None:
    with pytest.raises(ValueError, match="above where good ones begin"):
        classify(50, good=30, bad=900)
    for end in (float("inf"), float("nan")):
        with pytest.raises(ValueError, match="good must be a finite number"):
            classify(50, good=end, bad=30)
        with pytest.raises(ValueError, match="bad must be a finite number"):
            classify(50, good=900, bad=-end)
    with pytest.raises(ValueError, match="no class"):
        classify(float("nan"), 900, 30)


def test_the_interquartile_mean_cuts_a_quarter_at_either_end() -> None:
    assert interquartile_mean([1000, 3, 2, 0]) == pytest.approx(2.5)
    values = np.random.default_rng(0).uniform(0, 1000, 17)
    assert interquartile_mean(values) == pytest.approx(np.sort(values)[4:-4].mean())
    assert np.isnan(interquartile_mean([]))
    assert np.isnan(mean([]))


def test_the_interval_is_scipys_and_the_same_for_the_same_seed() -> None:
    values = np.random.default_rng(1).normal(500, 100, 40)
    found = bootstrap_interval(values, mean, seed=3)
    assert found == bootstrap_interval(values, mean, seed=3)
    expected = stats.bootstrap((values,), np.mean, method="percentile", rng=5).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=3)


def test_strata_keep_their_number_of_runs() -> None:
    """Runs equal within each task: no resample can differ, where unstratified ones do."""
    values, tasks = [0.0] * 10 + [900.0] * 10, ["hopper"] * 10 + ["walker"] * 10
    assert bootstrap_interval(values, mean, strata=tasks) == (450, 450)
    low, high = bootstrap_interval(values, mean)
    assert low < 300
    assert high > 600


def test_few_runs_have_no_interval() -> None:
    assert np.isnan(bootstrap_interval([3.0], mean)).all()
    assert np.isnan(bootstrap_interval([3.0, 4.0, 9.0], mean)).all()
    assert np.isfinite(bootstrap_interval([3.0, 4.0, 9.0, 9.0], mean)).all()
    assert np.isnan(bootstrap_interval([], mean)).all()
    assert np.isnan(bootstrap_interval([3.0, 4.0, 9.0], mean, strata=["a", "a", "b"])).all()


def test_percentiles_over_runs() -> None:
    assert percentiles(np.arange(101)) == (5, 95)
    assert np.isnan(percentiles([])).all()


def test_the_deviation_at_the_end_is_about_the_papers() -> None:
    """13 stuck of 40 at 27, the others at 950: about 430, the paper reports 418.2."""
    curves = np.tile(np.repeat([27.0, 950.0], [13, 27])[:, None], 15)
    assert final_deviation(curves) == pytest.approx(923 * np.sqrt(13 * 27) / 40)
    assert 418 < final_deviation(curves) < 440


def test_the_deviation_takes_the_last_evaluations_that_all_runs_have() -> None:
    curves = np.array([[0, 0, 10, np.nan, 30], [5, 0, 20, 50, 50]])
    assert final_deviation(curves, last=2) == pytest.approx((5 + 10) / 2)
    assert np.isnan(final_deviation(curves, last=5))  # four in common
    assert np.isnan(final_deviation(curves[:, :4], last=2))  # one run ends before the other
    assert np.isnan(final_deviation([[np.nan], [1.0]], last=1))
