"""Two cohorts beside each other: how far apart they are, and whether chance would do.

Pure functions of one number a run. Paired: run i of one cohort belongs to run i of the other, the
same seed with and without a change, and what is the same in both says nothing of their difference.
"""

import numpy as np
import numpy.typing as npt
from scipy import stats

from vrlprobe.stats.bootstrap import draws_interval, wilson_interval

Floats = npt.NDArray[np.float64]
Estimate = tuple[float, float, float]
"""An estimate with the ends of its interval."""
RESAMPLES = 10_000
EXACT = 100
"""Runs, or pairs, up to which p is counted and not approximated."""


def mean_difference(
    base: npt.ArrayLike,
    other: npt.ArrayLike,
    paired: bool,
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Mean of the other minus mean of the base, with a bootstrap interval over runs.

    Args:
        base, other: (n_base,) and (n_other,); of one length if paired.
        paired: draw pairs; else each cohort's runs by themselves.
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
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(first), size=(resamples, len(first)))
    others = rows if paired else rng.integers(len(second), size=(resamples, len(second)))
    draws = second[others].mean(axis=1) - first[rows].mean(axis=1)
    low, high = draws_interval(draws, min(len(first), len(second)), level)
    return float(second.mean() - first.mean()), float(low), float(high)


def mean_p(base: npt.ArrayLike, other: npt.ArrayLike, paired: bool) -> float:
    """Two-sided p that neither cohort has larger values: signed ranks, or Mann and Whitney's."""
    first, second = _numbers(base, other, paired)
    return signed_rank_p(second - first) if paired else rank_sum_p(first, second)


def signed_rank_p(differences: Floats) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; differences of 0 are left out.

    Exact, ties included, up to `EXACT` differences: over all choices of their signs. 1 where
    nothing is left.
    """
    moved = differences[differences != 0]
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
    of these sizes.
    """
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
