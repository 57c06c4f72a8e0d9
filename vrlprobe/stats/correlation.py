"""Rank correlations over runs: estimate, interval and p.

Pure functions of arrays with a row a run.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import stats

from vrlprobe.stats.bootstrap import draws_interval
from vrlprobe.stats.comparison import BLOCK, EXACT_WAYS, PERMUTATIONS

Floats = npt.NDArray[np.float64]
RESAMPLES = 2000


def rank_correlations(left: Floats, right: Floats) -> Floats:
    """Spearman's correlation of every column of one with every column of the other.

    Args:
        left, right: (..., n, k) and (..., n, m).

    Returns:
        (..., k, m), NaN for constant columns; ties have their mean rank.
    """
    a: Floats = _standard(stats.rankdata(left, axis=-2))
    b: Floats = _standard(stats.rankdata(right, axis=-2))
    products: Floats = np.swapaxes(a, -1, -2) @ b
    return products


def _standard(ranks: Floats) -> Floats:
    """Columns centred and of unit norm; NaN for constant ones."""
    centred = ranks - ranks.mean(axis=-2, keepdims=True)
    norms = np.linalg.norm(centred, axis=-2, keepdims=True)
    unit: Floats = np.divide(centred, norms, out=np.full_like(centred, np.nan), where=norms > 0)
    return unit


def correlation_interval(
    left: Floats, right: Floats, *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Floats, Floats]:
    """Bootstrap intervals of `rank_correlations` over runs.

    Args:
        left, right: (n, k) and (n, m).
        level: of the intervals, see `vrlprobe.stats.bootstrap.draws_interval`.
        seed: of the draws.
        resamples: number of draws.

    Returns:
        Lower and upper end, each (k, m): NaN for fewer than `vrlprobe.stats.bootstrap.FEWEST` runs,
        and for constant columns.
    """
    known = np.isfinite(rank_correlations(left, right))
    rows = np.random.default_rng(seed).integers(len(left), size=(resamples, len(left)))
    ends = np.full((2, *known.shape), np.nan)
    if known.any():
        draws = rank_correlations(left[rows], right[rows])
        ends[:, known] = draws_interval(draws[:, known], len(left), level)
    return ends[0], ends[1]


def correlation_p(left: Floats, right: Floats, *, seed: int = 0) -> Floats:
    """Two-sided permutation p of each column's rank correlation with one other column.

    Up to `vrlprobe.stats.comparison.EXACT_WAYS` orders of the runs all are taken, and p is the
    share with a correlation at least as far from 0. Otherwise `PERMUTATIONS` are drawn and p is
    (b + 1) / (m + 1).

    Args:
        left: (n, k).
        right: (n,).
        seed: of the permutations.

    Returns:
        (k,); NaN where there is no correlation.
    """
    a = _standard(stats.rankdata(left, axis=0))
    b = _standard(stats.rankdata(right)[:, None])[:, 0]
    seen = b @ a
    far, ways = np.zeros(a.shape[1]), 0
    for orders in _orders(len(a), seed):
        far += (np.abs(b[orders] @ a) >= np.abs(seen) - 1e-12).sum(axis=0)
        ways += len(orders)
    p: Floats = far / ways if math.factorial(len(a)) <= EXACT_WAYS else (far + 1) / (ways + 1)
    return np.where(np.isfinite(seen), p, np.nan)


def _orders(count: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks (n_ways, n_runs) of permutations: all that there are, or random ones."""
    if math.factorial(count) > EXACT_WAYS:
        yield np.random.default_rng(seed).random((PERMUTATIONS, count)).argsort(axis=1)
        return
    ways = itertools.permutations(range(count))
    while some := list(itertools.islice(ways, BLOCK)):
        yield np.array(some)
