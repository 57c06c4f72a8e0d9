"""Several runs taken together: classes by return, aggregates and their intervals.

Pure functions of returns; a class says how well a run does, a verdict on collapse (in
`vrlprobe.collapse`) says why, and neither is derived from the other.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import stats

from vrlprobe.checks import check_finite

Floats = npt.NDArray[np.float64]
Class = Literal["good", "middle", "bad"]
CLASSES: tuple[Class, ...] = get_args(Class)
RESAMPLES = 10_000
LAST_EVALUATIONS = 10
FEWEST = 4
"""Runs that an interval needs: of two or three the bootstrap's goes from the least to the largest,
and covers the mean in half or three quarters of the cases, whatever level is asked for."""


def classify(returned: float, good: float, bad: float) -> Class:
    """Good from `good` on, bad up to `bad`, middle between (paper, section 4: 900 and 30).

    Raises:
        ValueError: the thresholds are no numbers or the wrong way round, or the return is NaN.
    """
    check_finite(good=good, bad=bad)
    if not bad < good:
        raise ValueError(f"bad returns end at {bad:g}, above where good ones begin, {good:g}")
    if np.isnan(returned):
        raise ValueError("a run without a return belongs to no class")
    return "good" if returned >= good else "bad" if returned <= bad else "middle"


def interquartile_mean(values: npt.ArrayLike) -> float:
    """Mean of the middle half: a quarter of the runs, rounded down, is cut at either end.

    Agarwal et al., 2021; NaN without values.
    """
    found = np.asarray(values, np.float64)
    return float(stats.trim_mean(found, 0.25)) if found.size else float("nan")


def mean(values: npt.ArrayLike) -> float:
    """Mean; NaN without values."""
    found = np.asarray(values, np.float64)
    return float(found.mean()) if found.size else float("nan")


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Callable[[Floats], float],
    *,
    strata: Sequence[Any] | None = None,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic over runs, stratified (Agarwal et al., 2021).

    Args:
        values: (n_runs,).
        statistic: of such an array.
        strata: (n_runs,), for instance each run's task: runs are drawn within their own stratum,
            so that every resample has as many of each; one stratum if None.
        level: of the interval.
        seed: of the draws; the same gives the same interval.
        resamples: number of draws.

    Returns:
        Lower and upper end; both NaN where a stratum has fewer than `FEWEST` runs.
    """
    found = np.asarray(values, np.float64)
    labels = np.zeros(len(found)) if strata is None else np.unique(strata, return_inverse=True)[1]
    if not len(found) or np.unique(labels, return_counts=True)[1].min() < FEWEST:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    draws = np.empty((resamples, len(found)), np.int64)
    for stratum in np.unique(labels):
        members = np.flatnonzero(labels == stratum)
        draws[:, members] = rng.choice(members, (resamples, len(members)))
    resampled = [statistic(found[draw]) for draw in draws]
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(
    values: npt.ArrayLike, *, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> tuple[Floats, Floats, Floats]:
    """Mean over runs at many places at once, with percentile bootstrap intervals.

    Args:
        values: (n_runs, ...), NaN where a run has none.
        level: of the intervals.
        seed: of the draws, the same runs at every place.
        resamples: number of draws.

    Returns:
        Mean, lower and upper end, each (...): NaN where no run has a value; the ends are NaN
        where fewer than `FEWEST` have.
    """
    found = np.asarray(values, np.float64)
    flat = found.reshape(len(found), -1)
    there = np.isfinite(flat)
    sums = np.where(there, flat, 0.0)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(flat), np.full(len(flat), 1 / len(flat)), resamples)
    draws = _ratio(counts @ sums, counts @ there.astype(np.int64))
    bounds = np.full((2, flat.shape[1]), np.nan)
    several = there.sum(axis=0) >= FEWEST
    ends = [(1 - level) / 2, (1 + level) / 2]
    bounds[:, several] = np.nanquantile(draws[:, several], ends, axis=0)
    shape = found.shape[1:]
    average = _ratio(sums.sum(axis=0), there.sum(axis=0))
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
