"""Two groups of runs and the layers of their networks: where does a probe's error differ?

Pure functions of one score a run and layer, for instance the mean log test error of its probes.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from vrlprobe.stats.comparison import holm, mean_difference, permutation_p
from vrlprobe.stats.correlation import correlation_interval, correlation_p, rank_correlations

Floats = npt.NDArray[np.float64]
LEVEL = 0.05
POWER = 0.8
FEW = 50
"""Runs a group from which on the smallest p of a permutation test is below any level in use."""
FAR = 10.0
"""Standard deviations beyond the critical value at which the power is 1."""
MOST = 100_000
"""Runs a group beyond which none are counted."""


@dataclass(frozen=True)
class Tested:
    """An estimate a layer, with its interval and p.

    Attributes:
        value: (n_layers, 3), estimate with the ends of its 95% interval.
        p: (n_layers,), two-sided, of each layer alone.
        p_holm: (n_layers,), corrected for the layers that are tested (Holm, 1979).

    All are NaN for a layer that is not tested.
    """

    value: Floats
    p: Floats
    p_holm: Floats


def gaps(base: Floats, other: Floats, *, seed: int = 0) -> Tested:
    """Difference between two groups of runs, layer by layer: mean of other minus mean of base.

    Args:
        base, other: (n_base, n_layers) and (n_other, n_layers). A layer with one value in all runs,
            as the raw image has on shared samples, is not tested.
        seed: of the bootstrap, and of the permutations where not all are taken.

    Returns:
        Intervals are `vrlprobe.stats.comparison.mean_difference`'s, p is `permutation_p`'s.
    """
    return _differences(base, other, varying(np.concatenate([base, other])), seed)


def contrasts(base: Floats, other: Floats, reference: int, *, seed: int = 0) -> Tested:
    """Difference in differences: the gap at each layer minus the gap at a reference layer.

    Both differences are taken within a run first, so that a run counts once.

    Args:
        base, other: see `gaps`; a layer with one value in all runs is not tested here, either.
        reference: number of the reference layer, which is not tested against itself.
        seed: see `gaps`.
    """
    tested = varying(np.concatenate([base, other]))
    tested[reference] = False
    first, second = (side - side[:, [reference]] for side in (base, other))
    return _differences(first, second, tested, seed)


def correlations(scores: Floats, returns: Floats, *, seed: int = 0) -> Tested:
    """Spearman's correlation of each layer's score with the return, over all runs.

    Args:
        scores: (n_runs, n_layers); a layer with one value in all runs is not tested.
        returns: (n_runs,). If all are equal, no layer is tested.
        seed: see `gaps`.
    """
    tested = varying(scores) & bool(np.ptp(returns) > 0)
    some, ends = scores[:, tested], returns[:, None]
    low, high = correlation_interval(some, ends, seed=seed)
    value = np.hstack([rank_correlations(some, ends), low, high])
    return _placed(value, correlation_p(some, returns, seed=seed), tested)


def varying(scores: Floats) -> npt.NDArray[np.bool_]:
    """Which layers (n_layers,) have different scores (n_runs, n_layers) in different runs."""
    found: npt.NDArray[np.bool_] = np.ptp(scores, axis=0) > 1e-9 * np.abs(scores).max(axis=0)
    return found


def _differences(base: Floats, other: Floats, tested: npt.NDArray[np.bool_], seed: int) -> Tested:
    first, second = base[:, tested], other[:, tested]
    value = [
        mean_difference(a, b, False, seed=seed) for a, b in zip(first.T, second.T, strict=True)
    ]
    p = permutation_p(first, second, False, seed=seed)
    return _placed(np.array(value).reshape(-1, 3), p, tested)


def _placed(value: Floats, p: Floats, tested: npt.NDArray[np.bool_]) -> Tested:
    """Results of the tested layers at their places among all."""
    whole = Tested(*(np.full((len(tested), *end), np.nan) for end in ((3,), (), ())))
    whole.value[tested], whole.p[tested], whole.p_holm[tested] = value, p, holm(p)
    return whole


def runs_needed(
    base: npt.ArrayLike,
    other: npt.ArrayLike,
    gap: float,
    level: float = LEVEL,
    power: float = POWER,
) -> int:
    """Runs that each of two equal groups needs to show a difference of their means.

    Closed form: the smallest n at which a two-sided t test with Welch's degrees of freedom reaches
    the power, by the noncentral t distribution. A permutation test of means has nearly this power;
    the smallest p that it can give must be below the level, too. The variances are estimated from
    the runs at hand, and uncertain if these are few.

    Args:
        base, other: (n_base,) and (n_other,), at least two each: runs that show how much each group
            varies.
        gap: difference of the means to be shown.
        level: of the test; 0.05 / m for one of m tests with Holm's correction, where it is first.
        power: probability of p below the level.

    Returns:
        Runs a group, at most `MOST`.

    Raises:
        ValueError: fewer than two runs in a group, or a gap of 0.
    """
    first, second = (np.asarray(side, np.float64) for side in (base, other))
    if min(len(first), len(second)) < 2:
        raise ValueError("a variance needs two runs in each group")
    if not gap or not np.isfinite(gap):
        raise ValueError(f"gap must be a finite number other than 0, not {gap:g}")
    variances = np.array([first.var(ddof=1), second.var(ddof=1)])
    low, high = 2, MOST
    while low < high:
        middle = (low + high) // 2
        enough = _power(variances, gap, middle, level) >= power and _least_p(middle) < level
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def _power(variances: Floats, gap: float, runs: int, level: float) -> float:
    """Power of Welch's test with so many runs a group."""
    total = variances.sum()
    if total == 0:
        return 1.0
    freedom = (runs - 1) * total**2 / (variances**2).sum()
    shift = abs(gap) * np.sqrt(runs / total)
    cut = stats.t.ppf(1 - level / 2, freedom)
    if shift > cut + FAR:
        return 1.0
    return 1 - float(special.nctdtr(freedom, shift, cut))  # the other tail has next to nothing


def _least_p(runs: int) -> float:
    """Smallest p that a permutation test of two groups of so many runs can give."""
    return 2 / math.comb(2 * runs, runs) if runs < FEW else 0.0
