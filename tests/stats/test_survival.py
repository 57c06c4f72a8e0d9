"""How long collapse lasts: against a published table, counting, closed forms and simulation."""

import numpy as np
import pytest

from vrlprobe.stats.bootstrap import expanded_tail
from vrlprobe.stats.survival import Curve, bounds, resampled

WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_the_curve_of_a_textbook() -> None:
    """Weeks in remission under 6-mercaptopurine (Freireich et al., 1963), as tabled since."""
    curve = Curve(WEEKS, RELAPSED)
    expected = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    np.testing.assert_allclose(curve.share([6, 7, 10, 13, 16, 22, 23]), expected, atol=5e-4)
    np.testing.assert_allclose(curve.share([0, 5.9, 9, 100]), [1, 1, 0.807, 0.448], atol=5e-4)
    assert np.isnan(curve.interval([0])).all()  # all are in collapse: there is no interval
    low, high = curve.interval([10])
    np.testing.assert_allclose([low[0], high[0]], [0.503, 0.889], atol=5e-4)


@pytest.fixture(params=range(4))
def durations(request):
    """Attempts that all came out, some at the same frame."""
    return np.random.default_rng(request.param).integers(1, 15, 23) * 2000


def test_where_all_came_out_it_is_counting(durations) -> None:
    curve = Curve(durations, np.ones(23))
    for cutoff in (1000, 2000, 9000, 14_000, 40_000):
        out = durations <= cutoff
        assert curve.share(cutoff) == pytest.approx((~out).mean())
        assert curve.spent(cutoff) == pytest.approx(np.minimum(durations, cutoff).mean())
        cost = np.minimum(durations, cutoff).sum() / out.sum() if out.any() else np.inf
        assert curve.frames_per_escape(cutoff) == pytest.approx(cost)
        still = durations[durations > cutoff]
        chance, frames = curve.escape_within(cutoff, 5000)
        if len(still):
            assert chance == pytest.approx((still <= cutoff + 5000).mean())
            expected = np.maximum(cutoff + 5000 - still, 0).mean()
            assert frames == pytest.approx(expected, abs=1e-6)
        else:
            assert np.isnan([chance, frames]).all()


def test_where_an_escape_is_as_likely_at_any_time_giving_up_changes_nothing() -> None:
    """Memoryless: an escape takes its mean duration, whatever the cutoff."""
    rng = np.random.default_rng(0)
    durations = rng.geometric(0.1, 40_000)
    cutoffs = [1, 3, 10, 30]
    np.testing.assert_allclose(
        Curve(durations, np.ones(40_000)).frames_per_escape(cutoffs), 10, rtol=0.05
    )
    seen = rng.integers(1, 40, 40_000)  # the same attempts, not all of them seen to their end
    curve = Curve(np.minimum(durations, seen), durations <= seen)
    np.testing.assert_allclose(curve.frames_per_escape(cutoffs), 10, rtol=0.05)


def test_two_kinds_of_attempts_are_told_apart_by_giving_up_between_them() -> None:
    """Half come out at 10, half at 1,000: given up at 10, an escape takes 20 on average."""
    durations = [10] * 50 + [1000] * 50
    curve = Curve(durations, np.ones(100))
    np.testing.assert_allclose(curve.frames_per_escape([9, 10, 999, 1000]), [np.inf, 20, 1009, 505])
    assert curve.escape_within(0, 100) == pytest.approx((0.5, 45))
    assert curve.escape_within(10, 100) == (0, 0)


def test_where_no_one_comes_out_there_is_exactly_nothing_to_gain() -> None:
    curve = Curve([3000, 11_000, 9000], [True, False, False])
    assert curve.escape_within(9000, 2000) == (0, 0)
    assert np.isnan(curve.escape_within(11_000, 2000)).all()
    np.testing.assert_array_equal(curve.frames_per_escape([0, 2999]), np.inf)
    rng = np.random.default_rng(0)
    for _ in range(300):
        durations, out = rng.integers(1, 30, 8) * 997, rng.random(8) < 0.5
        waited, left = rng.integers(0, 25_000, 2)
        chance, frames = Curve(durations, out).escape_within(waited, left)
        if durations.max() > waited:
            assert 0 <= chance <= 1
            assert 0 <= frames <= left
            assert (chance > 0) == (out & (durations > waited) & (durations <= waited + left)).any()


def test_one_that_never_comes_out_is_still_in_collapse() -> None:
    curve = Curve([10, 100], [True, False])
    np.testing.assert_allclose(curve.share([10, 100, 500]), 0.5)
    np.testing.assert_allclose(curve.spent([100, 500]), [55, 255])
    with pytest.raises(ValueError, match="no attempts"):
        Curve([], [])


def test_attempts_of_one_run_are_drawn_together() -> None:
    durations, runs = np.array([10, 20, 30, 40]), ["a", "a", "b", "b"]
    drawn = resampled(durations, np.ones(4), runs, lambda c: c.spent(100), resamples=400, seed=1)
    assert set(drawn.tolist()) == {15.0, 25.0, 35.0}
    shares = [(drawn == mean).mean() for mean in (15, 25, 35)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.08)
    again = resampled(durations, np.ones(4), runs, lambda c: c.spent(100), resamples=400, seed=1)
    np.testing.assert_array_equal(again, drawn)


def test_bounds_are_quantiles_of_what_is_a_number() -> None:
    draws = np.random.default_rng(0).normal(size=(1000, 3))
    low, high = bounds(draws, 8, 0.9)
    tail = expanded_tail(8, 0.9)
    expected = np.quantile(draws, [tail, 1 - tail], axis=0, method="inverted_cdf")
    np.testing.assert_array_equal([low, high], expected)
    mixed = np.array([[1.0, np.nan, 1.0]] * 50 + [[np.nan, np.nan, np.inf]] * 50)
    low, high = bounds(mixed, 20)
    np.testing.assert_array_equal(low, [1, np.nan, 1])
    np.testing.assert_array_equal(high, [1, np.nan, np.inf])


def test_the_median_of_a_textbook_with_its_interval() -> None:
    """R's survfit of the same patients (conf.type log-log): median 23, 95% 13 to none."""
    assert Curve(WEEKS, RELAPSED).median() == (23, 13, np.inf)
    assert Curve([5, 6], [False, False]).median() == (np.inf, np.inf, np.inf)
