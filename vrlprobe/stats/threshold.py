"""How well one number of each run tells which of two ends the run comes to.

Pure functions of one value a run; `vrlprobe.analyses._forecast` reads them from logs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
SHUFFLES = 199


@dataclass(frozen=True)
class Cut:
    """A threshold, and the side of it on which runs are expected to end badly.

    The threshold itself belongs to the lower side.
    """

    threshold: float
    above: bool
    accuracy: float
    """Balanced, on the runs that it was chosen with."""

    def tells(self, values: npt.ArrayLike) -> Bools:
        """Which values say that the run will end badly; none where the cut is NaN."""
        found = np.asarray(values, np.float64)
        return found > self.threshold if self.above else found <= self.threshold


def balanced_accuracy(told: npt.ArrayLike, bad: npt.ArrayLike) -> float:
    """Mean of the shares of bad and of other runs that are told as what they are.

    Args:
        told, bad: booleans (n_runs,).

    Returns:
        0.5 for telling by chance or always the same; NaN where all runs end alike.
    """
    told, bad = np.asarray(told, bool), np.asarray(bad, bool)
    if bad.all() or not bad.any():
        return float("nan")
    return float((told[bad].mean() + (~told[~bad]).mean()) / 2)


def separation(values: npt.ArrayLike, bad: npt.ArrayLike) -> float:
    """Chance that a run that ends badly has the larger value of two, ties counted half.

    The area under the receiver operating characteristic (Mann and Whitney's U over the pairs):
    0.5 tells nothing, 0 and 1 everything. NaN where all runs end alike.
    """
    found, bad = np.asarray(values, np.float64), np.asarray(bad, bool)
    positive, negative = int(bad.sum()), int((~bad).sum())
    if not positive or not negative:
        return float("nan")
    ranks = stats.rankdata(found)
    return float((ranks[bad].sum() - positive * (positive + 1) / 2) / (positive * negative))


def best_cut(values: npt.ArrayLike, bad: npt.ArrayLike) -> Cut:
    """The threshold with the largest balanced accuracy on these runs.

    Thresholds lie between neighbouring values: at their geometric mean where both are positive, as
    gradient norms spread over decades, in the middle otherwise. Of equally good ones the lowest is
    taken.

    Args:
        values: (n_runs,), finite.
        bad: booleans (n_runs,).

    Returns:
        A cut at NaN with accuracy 0.5 where nothing can be told: all values equal, or all ends.
    """
    (threshold,), (above,), (accuracy,) = _best_cuts(values, np.asarray(bad, bool)[None])
    return Cut(float(threshold), bool(above), float(accuracy))


def _best_cuts(values: npt.ArrayLike, bad: Bools) -> tuple[Floats, Bools, Floats]:
    """`best_cut` of each way (n_ways, n_runs) that the runs may end: its fields, each (n_ways,)."""
    found, ways = np.asarray(values, np.float64), np.arange(len(bad))
    order = np.argsort(found, kind="stable")
    levels, begins = np.unique(found[order], return_index=True)
    count = bad.sum(axis=1)
    told = (count > 0) & (count < len(found)) & (len(levels) > 1)
    if not told.any():
        return np.full(len(bad), np.nan), ~told, np.full(len(bad), 0.5)
    below = np.cumsum(bad[:, order], axis=1)[:, begins[1:] - 1]
    bad_below = below / np.maximum(count, 1)[:, None]
    others_below = (begins[1:] - below) / np.maximum(len(found) - count, 1)[:, None]
    above = (1 - bad_below + others_below) / 2
    at = np.maximum(above, 1 - above).argmax(axis=1)
    threshold, best = _between(levels[:-1], levels[1:])[at], above[ways, at]
    return (
        np.where(told, threshold, np.nan),
        ~told | (best >= 0.5),
        np.where(told, np.maximum(best, 1 - best), 0.5),
    )


def _between(low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """A number from `low` on and below `high`, which rounding could miss where they are close."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    geometric = np.sqrt(np.maximum(low, 0)) * np.sqrt(np.maximum(high, 0))
    middle = np.where(low > 0, geometric, low + (high - low) / 2)
    found: Floats = np.where((low <= middle) & (middle < high), middle, low)
    return found


def left_out(values: npt.ArrayLike, bad: npt.ArrayLike) -> tuple[Bools, Floats]:
    """Which runs are told to end badly, each by the `best_cut` of the others.

    Args:
        values: (n_runs,), finite.
        bad: booleans (n_ways, n_runs): ways that the runs may end, a row each.

    Returns:
        Booleans (n_ways, n_runs), and the accuracy of each cut on the others, of the same shape.
    """
    found, bad = np.asarray(values, np.float64), np.asarray(bad, bool)
    told, accuracy = np.zeros(bad.shape, bool), np.zeros(bad.shape)
    for run, value in enumerate(found):
        others = np.arange(len(found)) != run
        threshold, above, accuracy[:, run] = _best_cuts(found[others], bad[:, others])
        told[:, run] = (value > threshold) == above
    return told, accuracy


def best_left_out(parts: Sequence[tuple[Bools, Floats]]) -> Bools:
    """Which runs are told to end badly, each by the metric whose cut is best on the others.

    Args:
        parts: what `left_out` gives for each metric; of equally good ones the first is taken.
    """
    best = np.argmax([accuracy for _, accuracy in parts], axis=0)
    told: Bools = np.take_along_axis(np.stack([part for part, _ in parts]), best[None], axis=0)[0]
    return told


def shuffled(bad: npt.ArrayLike, seed: int = 0, shuffles: int = SHUFFLES) -> Bools:
    """How the runs end, and then as many random ways for the same ends to fall on other runs.

    Args:
        bad: booleans (n_runs,).
        seed: of the draws.
        shuffles: number of draws.

    Returns:
        (1 + shuffles, n_runs).
    """
    ends = np.asarray(bad, bool)
    ways = np.tile(ends, (1 + shuffles, 1))
    ways[1:] = np.random.default_rng(seed).permuted(ways[1:], axis=1)
    return ways


def share_as_good(told: Bools, ways: Bools) -> float:
    """Share of the ways, the first included, that are told at least as well as the first one is.

    The p of a permutation test that a metric says nothing of the ends.

    Args:
        told, ways: (n_ways, n_runs), as from `left_out` and `shuffled`.
    """
    bad, others = ways.sum(axis=1), (~ways).sum(axis=1)
    accuracies = ((told & ways).sum(axis=1) / bad + (~told & ~ways).sum(axis=1) / others) / 2
    return float((accuracies >= accuracies[0] - 1e-12).mean())
