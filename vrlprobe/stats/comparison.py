"""Two cohorts beside each other: how far apart they are, and whether chance would do.

Pure functions of one number a run. Paired: run i of one cohort belongs to run i of the other, the
same seed with and without a change, and what is the same in both says nothing of their difference.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from vrlprobe.stats.bootstrap import draws_interval, mean, wilson_interval

Floats = npt.NDArray[np.float64]
Estimate = tuple[float, float, float]
"""An estimate with the ends of its interval."""
RESAMPLES = 10_000
EXACT = 100
"""Runs, or pairs, up to which p is counted and not approximated."""
EXACT_WAYS = 2**20
"""Permutations up to which a permutation test takes all of them."""
PERMUTATIONS = 9_999
"""Random permutations that a permutation test takes otherwise."""
BLOCK = 2**14
"""Permutations that are held at a time."""


def mean_difference(
    base: npt.ArrayLike,
    other: npt.ArrayLike,
    paired: bool,
    *,
    statistic: Callable[[Floats], Floats] = mean,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean of the other minus mean of the base, with a bootstrap interval over runs.

    Args:
        base, other: (n_base,) and (n_other,); of one length if paired.
        paired: draw pairs; else each cohort's runs by themselves.
        statistic: in place of the mean, of arrays (..., n_runs) to (...).
        level: of the interval, see `vrlprobe.stats.bootstrap.draws_interval`: its number of runs is
            that of the pairs, or of the smaller cohort.
        seed: of the draws.
        resamples: number of draws.

    Returns:
        The ends are NaN where a cohort has fewer than `FEWEST` runs, or no draw differs.

    Raises:
        ValueError: pairs that are none.
    """
    first, second = _numbers(base, other, paired)
    rows, others = _draws(len(first), len(second), paired, seed, resamples)
    draws = statistic(second[others]) - statistic(first[rows])
    low, high = draws_interval(draws, min(len(first), len(second)), level)
    return float(statistic(second) - statistic(first)), float(low), float(high)


def improvement(
    base: npt.ArrayLike,
    other: npt.ArrayLike,
    paired: bool,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Probability of improvement: that a run of the other has a larger value than one of the base.

    The share of all n_base x n_other combinations of two runs, ties counted half: Mann and
    Whitney's U divided by their number.

    Args:
        base, other, paired, level, seed, resamples: see `mean_difference`. Pairs change how runs
            are drawn for the interval, not the estimate.

    Returns:
        The ends are NaN where a cohort has fewer than `FEWEST` runs, or no draw differs.

    Raises:
        ValueError: pairs that are none.

    References:
        Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, 2021.
    """
    first, second = _numbers(base, other, paired)
    wins = (np.sign(second[None, :] - first[:, None]) + 1) / 2
    rows, others = _draws(len(first), len(second), paired, seed, resamples)
    won = ((_counts(rows, len(first)) @ wins) * _counts(others, len(second))).sum(axis=1)
    low, high = draws_interval(won / wins.size, min(wins.shape), level)
    return float(wins.mean()), float(low), float(high)


def _draws(
    n_base: int, n_other: int, paired: bool, seed: int, resamples: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of bootstrap samples, (resamples, n_base) and (resamples, n_other)."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(n_base, size=(resamples, n_base))
    return rows, rows if paired else rng.integers(n_other, size=(resamples, n_other))


def _counts(rows: npt.NDArray[np.int64], runs: int) -> npt.NDArray[np.int64]:
    """How often each run is in each bootstrap sample, (resamples, n_runs)."""
    return np.stack([(rows == run).sum(axis=1) for run in range(runs)], axis=1)


def permutation_p(
    base: npt.ArrayLike, other: npt.ArrayLike, paired: bool, *, seed: int = 0
) -> Floats:
    """Two-sided p of a permutation test of the difference of the means.

    Independent runs are divided anew into groups of these sizes; the two values of a pair change
    places. Up to `EXACT_WAYS` permutations all are taken, and p is the share with a difference at
    least as far from 0. Otherwise `PERMUTATIONS` are drawn and p is (b + 1) / (m + 1).

    Args:
        base, other: (n_base, ...) and (n_other, ...), several values a run; of one length if
            paired.
        paired: see the module.
        seed: of the permutations.

    Returns:
        (...).

    Raises:
        ValueError: pairs that are none.

    References:
        Phipson and Smyth, Permutation P-values Should Never Be Zero, 2010.
    """
    first, second = _numbers(base, other, paired)
    shape = first.shape[1:]
    if paired:
        differences = (second - first).reshape(len(first), -1)
        return np.array([_signs_p(column, seed) for column in differences.T]).reshape(shape)
    pooled = np.concatenate([first, second]).reshape(len(first) + len(second), -1)
    values = pooled - pooled.mean(axis=0)
    seen = values[len(first) :].sum(axis=0)
    far, ways = np.zeros(values.shape[1]), 0
    for block in _divisions(len(values), len(second), seed):
        far += (np.abs(block @ values) >= np.abs(seen) - _rounding(values)).sum(axis=0)
        ways += len(block)
    exact = divisions(len(first), len(second)) <= EXACT_WAYS
    p: Floats = far / ways if exact else (far + 1) / (ways + 1)
    return p.reshape(shape)


def statistic_p(
    base: npt.ArrayLike,
    other: npt.ArrayLike,
    paired: bool,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int = 0,
) -> float:
    """Two-sided p of a permutation test of the difference of a statistic.

    Parameters
    ----------
    base, other : array of shape (n_base,) and (n_other,)
        Of one length if paired.
    paired : bool
        See the module.
    statistic : callable
        Of arrays (n_ways, n_runs), gives (n_ways,).
    seed : int
        Of the permutations, where there are too many to take all, see `permutation_p`.

    Raises
    ------
    ValueError
        Pairs that are none.
    """
    first, second = _numbers(base, other, paired)
    least = abs(float(statistic(second[None])[0] - statistic(first[None])[0]))
    least -= 1e-9 * float(np.abs(np.concatenate([first, second])).max(initial=0.0))
    far, ways = 0, 0
    blocks = _exchanges(first, second, seed) if paired else _regrouped(first, second, seed)
    for one, two in blocks:
        far += int((np.abs(statistic(two) - statistic(one)) >= least).sum())
        ways += len(one)
    count = 2 ** len(first) if paired else divisions(len(first), len(second))
    return far / ways if count <= EXACT_WAYS else (far + 1) / (ways + 1)


def _regrouped(first: Floats, second: Floats, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Blocks (n_ways, n_base) and (n_ways, n_other) of runs divided anew."""
    pooled = np.concatenate([first, second])
    for block in _divisions(len(pooled), len(second), seed):
        order = pooled[np.argsort(block, axis=1, kind="stable")]
        yield order[:, : len(first)], order[:, len(first) :]


def _exchanges(first: Floats, second: Floats, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """Blocks (n_ways, n_pairs) of both sides, in which pairs have changed places."""
    count = len(first)
    if 2**count > EXACT_WAYS:
        swaps = np.random.default_rng(seed).random((PERMUTATIONS, count)) < 0.5
        yield np.where(swaps, second, first), np.where(swaps, first, second)
        return
    for begin in range(0, 2**count, BLOCK):
        numbers = np.arange(begin, min(begin + BLOCK, 2**count))
        swaps = (numbers[:, None] >> np.arange(count)) % 2 == 1
        yield np.where(swaps, second, first), np.where(swaps, first, second)


def _rounding(values: Floats) -> Any:
    """By how much sums that are equal may differ: they are as far from 0 as each other."""
    return 1e-9 * np.abs(values).sum(axis=0)


def _signs_p(differences: Floats, seed: int) -> float:
    """Two-sided p of the sum of the pairs' differences, whose signs are exchanged."""
    least = np.abs(differences.sum()) - _rounding(differences)
    if 2 ** len(differences) > EXACT_WAYS:
        shape = PERMUTATIONS, len(differences)
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], shape)
        far = int((np.abs(signs @ differences) >= least).sum())
        return (far + 1) / (PERMUTATIONS + 1)
    sums = differences[:1]  # one sign is enough for the first: the others mirror
    for value in differences[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float((np.abs(sums) >= least).mean())


def divisions(n_base: int, n_other: int) -> int:
    """Number of divisions of the runs into two groups of these sizes."""
    return math.comb(n_base + n_other, n_other)


def _divisions(count: int, chosen: int, seed: int) -> Iterator[Floats]:
    """Blocks (n_ways, n_runs) with 1 for a run of the other group: all, or random ones."""
    if divisions(count - chosen, chosen) > EXACT_WAYS:
        drawn = np.random.default_rng(seed).random((PERMUTATIONS, count)).argsort(axis=1)
        yield (drawn < chosen).astype(np.float64)
        return
    ways = _combinations(count, chosen)
    for first in range(0, len(ways), BLOCK):
        some = ways[first : first + BLOCK].astype(np.int64)
        block = np.zeros((len(some), count))
        np.put_along_axis(block, some, 1.0, axis=1)
        yield block


@lru_cache(maxsize=1)
def _combinations(count: int, chosen: int) -> npt.NDArray[Any]:
    """Every choice of so many of the runs, (n_ways, chosen); kept for the next layer."""
    flat = itertools.chain.from_iterable(itertools.combinations(range(count), chosen))
    return np.fromiter(flat, np.min_scalar_type(count)).reshape(-1, chosen)


def holm(p: Floats) -> Floats:
    """p values (n,) corrected for n tests (Holm, 1979), at most 1."""
    ranked = np.argsort(p)
    scaled = p[ranked] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[ranked] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected


def mean_p(base: npt.ArrayLike, other: npt.ArrayLike, paired: bool) -> float:
    """Two-sided p that neither cohort has larger values: signed ranks, or Mann and Whitney's."""
    first, second = _numbers(base, other, paired)
    return signed_rank_p(second - first) if paired else rank_sum_p(first, second)


def signed_rank_p(differences: Floats) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; differences of 0, and NaN, are left out.

    Exact, ties included, up to `EXACT` differences: over all choices of their signs. 1 where
    nothing is left.
    """
    moved = differences[(differences != 0) & ~np.isnan(differences)]
    if not len(moved):
        return 1.0
    if len(moved) > EXACT:
        return float(stats.wilcoxon(moved).pvalue)
    ranks = _doubled_ranks(np.abs(moved))
    ways = np.zeros(ranks.sum() + 1)
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    return _as_far(ways, int(ranks[moved > 0].sum()), int(ranks.sum()))


def rank_sum_p(first: Floats, second: Floats) -> float:
    """Two-sided p of Mann and Whitney's test.

    Exact, ties included, up to `EXACT` runs in all: over all divisions of the runs into two groups
    of these sizes. NaN are left out; 1 where a group has nothing left.
    """
    first, second = (values[~np.isnan(values)] for values in (first, second))
    if not len(first) or not len(second):
        return 1.0
    if len(first) + len(second) > EXACT:
        return float(stats.mannwhitneyu(first, second).pvalue)
    ranks, size = _doubled_ranks(np.concatenate([first, second])), len(first)
    ways = np.zeros((size + 1, ranks.sum() + 1))  # of choosing so many runs with such a sum
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    return _as_far(ways[size], int(ranks[:size].sum()), size * (len(ranks) + 1) * 2)


def _doubled_ranks(values: Floats) -> npt.NDArray[np.int64]:
    """Twice the ranks, ties at their mean: whole numbers."""
    doubled: npt.NDArray[np.int64] = np.rint(2 * stats.rankdata(values)).astype(np.int64)
    return doubled


def _as_far(ways: Floats, seen: int, ends: int) -> float:
    """Share of the ways whose sum is as far from the middle as the one seen.

    Args:
        ways: (n,), by sum.
        seen: the sum.
        ends: smallest and largest sum together, twice the middle.
    """
    far = np.abs(2 * np.arange(len(ways)) - ends)
    return float(ways[far >= abs(2 * seen - ends)].sum() / ways.sum())


def share_difference(
    base: npt.ArrayLike, other: npt.ArrayLike, paired: bool, level: float = 0.95
) -> Estimate:
    """Share of the other minus share of the base, with an interval made of both shares' own.

    Newcombe's hybrid score intervals (1998a, method 10; for pairs 1998b, method 10), which hold
    for few runs, and for none or all of them.

    Args:
        base, other: booleans (n_base,) and (n_other,); of one length if paired.
        paired: see the module.
        level: of the interval.

    Raises:
        ValueError: pairs that are none.
    """
    first, second = (values > 0 for values in _numbers(base, other, paired))
    shares = float(first.mean()), float(second.mean())
    ends = [wilson_interval(int(v.sum()), len(v), level) for v in (first, second)]
    down = shares[1] - ends[1][0], ends[0][1] - shares[0]
    up = ends[1][1] - shares[1], shares[0] - ends[0][0]
    alike = _phi(first, second) if paired else 0.0
    estimate = shares[1] - shares[0]
    low, high = (np.sqrt(a * a - 2 * alike * a * b + b * b) for a, b in (down, up))
    return estimate, float(estimate - low), float(estimate + high)


def share_p(base: npt.ArrayLike, other: npt.ArrayLike, paired: bool) -> float:
    """Two-sided p that the shares are equal: McNemar's exact test, or Fisher's."""
    first, second = (values > 0 for values in _numbers(base, other, paired))
    if not paired:
        table = [[int(v.sum()), int((~v).sum())] for v in (first, second)]
        return float(stats.fisher_exact(table).pvalue)
    changed = int((first != second).sum())
    if not changed:
        return 1.0
    return float(stats.binomtest(int((second & ~first).sum()), changed).pvalue)


def _numbers(base: npt.ArrayLike, other: npt.ArrayLike, paired: bool) -> tuple[Floats, Floats]:
    first, second = np.asarray(base, np.float64), np.asarray(other, np.float64)
    if not len(first) or not len(second):
        raise ValueError("a cohort without runs has nothing to compare")
    if paired and len(first) != len(second):
        raise ValueError(f"{len(first)} runs and {len(second)} make no pairs")
    return first, second


def _phi(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    """Correlation of the two, taken nearer to 0 where it is positive, as the method asks."""
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    one, two = int((first & ~second).sum()), int((~first & second).sum())
    margins = (both + one) * (two + neither) * (both + two) * (one + neither)
    if not margins:
        return 0.0
    product = float(both * neither - one * two)
    if product > 0:
        product = max(product - len(first) / 2, 0.0)
    return product / float(np.sqrt(margins))
