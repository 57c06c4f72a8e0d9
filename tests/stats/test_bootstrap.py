"""Classes and aggregates against closed forms, SciPy and the paper's own figures."""

import numpy as np
import pytest
from scipy import stats

from vrlprobe.stats.bootstrap import (
    FEWEST,
    balanced_accuracy_interval,
    bootstrap_interval,
    draws_interval,
    expanded_tail,
    final_deviation,
    interquartile_mean,
    mean,
    mean_interval,
    percentiles,
    ratio,
    wilson_interval,
)


def test_the_interquartile_mean_cuts_a_quarter_at_either_end() -> None:
    assert interquartile_mean([1000, 3, 2, 0]) == pytest.approx(2.5)
    values = np.random.default_rng(0).uniform(0, 1000, 17)
    assert interquartile_mean(values) == pytest.approx(np.sort(values)[4:-4].mean())
    assert np.isnan(interquartile_mean([]))
    assert np.isnan(mean([]))


def test_the_interval_is_scipys_at_the_expanded_level_and_the_same_for_the_same_seed() -> None:
    values = np.random.default_rng(1).normal(500, 100, 40)
    found = bootstrap_interval(values, mean, seed=3)
    assert found == bootstrap_interval(values, mean, seed=3)
    expected = stats.bootstrap(
        (values,), np.mean, confidence_level=1 - 2 * expanded_tail(40), method="percentile", rng=5
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=3)


def test_draws_from_a_normal_give_a_t_interval() -> None:
    """The bootstrap's variance is the plug-in one, smaller by (n - 1) / n."""
    values = np.array([1.0, 2.0, 4.0, 4.5, 7.0, 9.0, 9.5])
    spread = values.std() / np.sqrt(7)
    draws = stats.norm(values.mean(), spread).ppf((np.arange(1_000_000) + 0.5) / 1_000_000)
    expected = stats.t(6, values.mean(), stats.sem(values)).interval(0.95)
    np.testing.assert_allclose(draws_interval(draws, 7), expected, rtol=1e-4)
    assert expanded_tail(10**6) == pytest.approx(0.025, abs=1e-5)


@pytest.mark.parametrize(("count", "plain"), [(FEWEST, 0.86), (10, 0.90)])
def test_intervals_cover_the_mean_about_as_often_as_asked_for(count: int, plain: float) -> None:
    """A thousand cohorts of normal returns; plain percentile intervals cover it less often."""
    cohorts = np.random.default_rng(0).normal(300, 100, (count, 1000))
    _, low, high = mean_interval(cohorts, resamples=4000)
    inside = ((low <= 300) & (high >= 300)).mean()
    assert inside == pytest.approx(0.94, abs=0.015)
    assert inside > plain + 0.03


def test_strata_keep_their_number_of_runs() -> None:
    """Tasks far apart, runs near each other: only unstratified resamples differ much."""
    runs = np.arange(10.0)
    values, tasks = np.concatenate([runs, runs + 900]), ["hopper"] * 10 + ["walker"] * 10
    low, high = bootstrap_interval(values, mean, strata=tasks)
    assert 450 < low < 454.5 < high < 459
    low, high = bootstrap_interval(values, mean)
    assert low < 300
    assert high > 600


def test_few_runs_and_runs_that_are_all_alike_have_no_interval() -> None:
    six = [3.0, 4.0, 9.0, 9.0, 5.0, 7.0]
    assert np.isfinite(bootstrap_interval(six, mean)).all()
    for few in ([], [3.0], six[: FEWEST - 1]):
        assert np.isnan(bootstrap_interval(few, mean)).all()
    assert np.isnan(bootstrap_interval([*six, 3.0], mean, strata=["a"] * 6 + ["b"])).all()
    assert np.isnan(bootstrap_interval([0.1] * 8, mean)).all()
    assert np.isnan(mean_interval(np.full((8, 2), 0.1))[1:]).all()


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


def test_a_ratio_of_paired_episodes():
    others = np.array([10.0, 30, 20, 40, 25, 35, 15])
    estimate, low, high = ratio(0.5 * others + np.arange(7), others)
    assert estimate == pytest.approx((0.5 * others.sum() + 21) / others.sum())
    assert low < estimate < high
    # paired: what both share is no part of the interval
    assert np.isnan(ratio(0.5 * others, others)[1:]).all()
    noise = np.array([0.0, 1, 0, 1, 0, 1, 0])
    _, low, high = ratio(0.5 * others + noise, others)
    _, low_apart, high_apart = ratio(0.5 * others[::-1] + noise, others)
    assert 5 * (high - low) < high_apart - low_apart
    assert np.isnan(ratio(others, np.zeros(7))).all()


def test_the_interval_of_a_balanced_accuracy_covers() -> None:
    """Simulated: 6 of 20 runs end badly, found with 0.8 and told apart with 0.9."""
    rng = np.random.default_rng(0)
    draws = zip(rng.binomial(6, 0.8, 1000), rng.binomial(14, 0.9, 1000), strict=True)
    ends = [balanced_accuracy_interval(int(a), 6, int(b), 14) for a, b in draws]
    assert 0.93 < np.mean([low <= 0.85 <= high for low, high in ends]) < 0.99
    # of two equal shares of equally many runs: narrower than one by the square root of two
    low, high = wilson_interval(7, 10)
    found = balanced_accuracy_interval(7, 10, 7, 10)
    assert found == pytest.approx((0.7 - (0.7 - low) / 2**0.5, 0.7 + (high - 0.7) / 2**0.5))
    assert balanced_accuracy_interval(0, 0, 3, 5) == (0, 1)
