"""Rank correlations and their p, against scipy and enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from vrlprobe.stats.correlation import correlation_interval, correlation_p, rank_correlations


def test_exact_p_is_the_share_of_all_orders() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.integers(0, 4, (6, 2)).astype(float), rng.integers(0, 4, 6).astype(float)
    for column, p in zip(left.T, correlation_p(left, right), strict=True):
        seen = stats.spearmanr(column, right).statistic
        ways = [
            abs(stats.spearmanr(column, right[list(order)]).statistic)
            for order in itertools.permutations(range(6))
        ]
        assert p == pytest.approx(np.mean(np.array(ways) >= abs(seen) - 1e-9))


def test_a_perfect_order_of_five_has_two_orders_of_120() -> None:
    assert correlation_p(np.arange(5.0)[:, None], np.arange(5.0))[0] == pytest.approx(2 / 120)


def test_many_runs_have_scipys_p() -> None:
    rng = np.random.default_rng(1)
    right = rng.normal(size=40)
    left = np.stack([right + 2 * rng.normal(size=40), rng.normal(size=40), np.ones(40)], axis=1)
    p = correlation_p(left, right)
    expected = [stats.spearmanr(column, right).pvalue for column in left.T[:2]]
    np.testing.assert_allclose(p[:2], expected, atol=0.01)
    assert np.isnan(p[2])
    assert correlation_p(right[:, None], right) == 1 / 10_000


def test_the_interval_is_fishers_for_many_runs() -> None:
    rng = np.random.default_rng(2)
    right = rng.normal(size=400)
    left = (right + rng.normal(size=400))[:, None]
    low, high = correlation_interval(left, right[:, None])
    z = np.arctanh(rank_correlations(left, right[:, None])[0, 0])
    ends = np.tanh([z - 1.96 * 1.03 / np.sqrt(397), z + 1.96 * 1.03 / np.sqrt(397)])
    np.testing.assert_allclose([low[0, 0], high[0, 0]], ends, atol=0.02)
    few = correlation_interval(left[:5], right[:5, None])
    assert np.isnan(few).all()
