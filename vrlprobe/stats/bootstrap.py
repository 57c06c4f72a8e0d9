"""Several runs taken together: classes by return, aggregates and their intervals.

Pure functions of returns; a class says how well a run does, a verdict on collapse (in
`vrlprobe.collapse`) says why, and neither is derived from the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
RESAMPLES = 10_000
BLOCK = 256
"""Places whose draws are held at a time."""
LAST_EVALUATIONS = 10
FEWEST = 6
"""Runs that a bootstrap interval needs: of fewer even one from the least run to the largest covers
a normal mean too seldom, of four in 87% and of five in 92% of the cases; of six 94% can be had."""


def interquartile_mean(values: npt.ArrayLike) -> Any:
    """Mean of the middle half: a quarter of the runs, rounded down, is cut at either end.

    Agarwal et al., 2021.

    Args:
        values: (..., n_runs).

    Returns:
        (...), float64; NaN without runs.
    """
    found = np.asarray(values, np.float64)
    return stats.trim_mean(found, 0.25, axis=-1) if found.size else _none(found)


def mean(values: npt.ArrayLike) -> Any:
    """Mean over runs, (..., n_runs) to (...), float64; NaN without runs."""
    found = np.asarray(values, np.float64)
    return found.mean(axis=-1) if found.size else _none(found)


def _none(values: Floats) -> Any:
    return np.full(values.shape[:-1], np.nan)[()]


def expanded_tail(count: int, level: float = 0.95) -> float:
    """Share of bootstrap draws beyond either end of an interval over few runs (Hesterberg, 2015).

    A plain percentile interval, with (1 - level) / 2 there, is too narrow by sqrt((n - 1) / n) and
    takes the normal distribution for Student's: of six runs it covers the mean in 86% of the cases
    where 95% are asked for, of twenty in 93%. This tail, Phi(-sqrt(n / (n - 1)) t), makes it
    that of a t interval where the mean is normal ("What Teachers Should Know About the
    Bootstrap", The American Statistician 69). A heavy tail that no run shows remains unseen.

    Args:
        count: n, runs drawn from, 2 at least; of pairs their number, of several groups that are
            drawn by themselves (strata, two cohorts) that of the smallest, which never makes the
            interval too narrow.
        level: of the interval.
    """
    reach = np.sqrt(count / (count - 1)) * stats.t.ppf((1 + level) / 2, count - 1)
    return float(stats.norm.cdf(-reach))


def draws_interval(
    draws: npt.ArrayLike, count: int, level: float = 0.95
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Ends of the interval of bootstrap draws: their quantiles at `expanded_tail`.

    Args:
        draws: (n_draws, ...); NaN ones are left out.
        count: see `expanded_tail`.
        level: of the interval.

    Returns:
        Lower and upper end, each (...): NaN for fewer than `FEWEST` runs, and where both are equal
        to rounding, as they are for runs that are all alike and so say nothing of others.
    """
    found = np.asarray(draws, np.float64)
    low, high = np.full((2, *found.shape[1:]), np.nan)
    if count >= FEWEST:
        tail = expanded_tail(count, level)
        low, high = np.nanquantile(found, [tail, 1 - tail], axis=0)
    alike = np.isclose(low, high, rtol=1e-9, atol=1e-12)
    return np.where(alike, np.nan, low), np.where(alike, np.nan, high)


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Callable[[Floats], Floats],
    *,
    strata: Sequence[Any] | None = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Bootstrap interval of a statistic over runs, see `draws_interval`.

    Args:
        values: (n_runs,).
        statistic: of such arrays, (resamples, n_runs) to (resamples,).
        strata: (n_runs,), for instance each run's task: runs are drawn within their own stratum,
            so that every resample has as many of each (Agarwal et al., 2021); one if None.
        level: of the interval.
        seed: of the draws; the same gives the same interval.
        resamples: number of draws.

    Returns:
        Lower and upper end; both NaN where a stratum has fewer than `FEWEST` runs, or no resample
        differs.
    """
    found = np.asarray(values, np.float64)
    labels = np.zeros(len(found)) if strata is None else np.unique(strata, return_inverse=True)[1]
    smallest = int(np.unique(labels, return_counts=True)[1].min()) if len(found) else 0
    if smallest < FEWEST:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    draws = np.empty((resamples, len(found)), np.int64)
    for stratum in np.unique(labels):
        members = np.flatnonzero(labels == stratum)
        draws[:, members] = rng.choice(members, (resamples, len(members)))
    low, high = draws_interval(statistic(found[draws]), smallest, level)
    return float(low), float(high)


def mean_interval(
    values: npt.ArrayLike, *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Floats, Floats, Floats]:
    """Mean over runs at many places at once, with bootstrap intervals, see `draws_interval`.

    Args:
        values: (n_runs, ...), NaN where a run has none.
        level: of the intervals.
        seed: of the draws, the same runs at every place.
        resamples: number of draws.

    Returns:
        Mean, lower and upper end, each (...): NaN where no run has a value; the ends are NaN
        where fewer than `FEWEST` have, or all have the same.
    """
    found = np.asarray(values, np.float64)
    flat = found.reshape(len(found), -1)
    there = np.isfinite(flat)
    sums, known = np.where(there, flat, 0.0), there.sum(axis=0)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(flat), np.full(len(flat), 1 / len(flat)), resamples)
    bounds = np.full((2, flat.shape[1]), np.nan)
    for count in np.unique(known[known >= FEWEST]).tolist():
        places = np.flatnonzero(known == count)
        for some in np.array_split(places, -(-len(places) // BLOCK)):
            drawn = _ratio(counts @ sums[:, some], counts @ there[:, some].astype(np.int64))
            bounds[:, some] = draws_interval(drawn, count, level)
    shape = found.shape[1:]
    average = _ratio(sums.sum(axis=0), known)
    return average.reshape(shape), bounds[0].reshape(shape), bounds[1].reshape(shape)


def _ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    blank = np.full(numerator.shape, np.nan)
    found: Floats = np.divide(numerator, denominator, out=blank, where=denominator > 0)
    return found


def percentiles(values: npt.ArrayLike) -> tuple[float, float]:
    """5th and 95th percentile over runs, the band of the paper's Figure 5; NaN without values."""
    found = np.asarray(values, np.float64)
    if not found.size:
        return float("nan"), float("nan")
    low, high = np.quantile(found, [0.05, 0.95])
    return float(low), float(high)


def final_deviation(curves: npt.ArrayLike, last: int = LAST_EVALUATIONS) -> float:
    """Average over the last evaluations of the standard deviation across runs (paper, 5.2).

    Args:
        curves: (n_runs, n_evaluations), returns, NaN where a run was not evaluated.
        last: evaluations taken.

    Returns:
        NaN for a single run, and where not all runs have the last evaluation, or so many in common.
    """
    found = np.asarray(curves, np.float64)
    common = np.flatnonzero(np.isfinite(found).all(axis=0))
    if len(found) < 2 or len(common) < last or common[-1] < found.shape[1] - 1:
        return float("nan")
    return float(found[:, common[-last:]].std(axis=0).mean())


def wilson_interval(successes: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share (Wilson, 1927), which holds for few runs and for none or all of them.

    Raises:
        ValueError: no runs, or more successes than runs.
    """
    if not 0 <= successes <= runs or runs == 0:
        raise ValueError(f"{successes} successes of {runs} runs give no share")
    interval = stats.binomtest(successes, runs).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def balanced_accuracy_interval(
    found: int, badly: int, right: int, others: int, level: float = 0.95
) -> tuple[float, float]:
    """The interval of the mean of two shares, ``found / badly`` and ``right / others``.

    Wilson's intervals of both, combined by the squares of their distances (MOVER, Zou and Donner
    2008, https://doi.org/10.1002/sim.3095). (0, 1) where either share is of nothing.
    """
    if not badly or not others:
        return 0.0, 1.0
    shares = np.array([found / badly, right / others])
    ends = np.array([wilson_interval(found, badly, level), wilson_interval(right, others, level)])
    below, above = (np.hypot(*(shares - ends[:, end])) / 2 for end in (0, 1))
    middle = shares.mean()
    return float(middle - below), float(middle + above)


def ratio(returns: Floats, others: Floats, seed: int = 0) -> tuple[float, float, float]:
    """Ratio of two mean returns over the same initial states, with a paired bootstrap interval.

    Args:
        returns, others: (n_episodes,), the same initial state at the same place.
        seed: of the draws.

    Returns:
        Estimate, lower and upper end; NaN where the other's mean is not positive. The ends are NaN
        where `draws_interval` gives none.
    """
    if not others.sum() > 0:
        return float("nan"), float("nan"), float("nan")
    estimate = float(returns.mean() / others.mean())
    if np.array_equal(returns, others):
        return estimate, float("nan"), float("nan")
    count = len(returns)
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    over = others[drawn].mean(axis=1)
    shares = np.divide(
        returns[drawn].mean(axis=1), over, out=np.full(RESAMPLES, np.nan), where=over > 0
    )
    low, high = draws_interval(shares, count)
    return estimate, float(low), float(high)
