"""How well one number of each run tells which of two ends the run comes to.

Pure functions of one value a run; `vrlprobe.studies.foretelling` reads them from logs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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
    found, bad = np.asarray(values, np.float64), np.asarray(bad, bool)
    levels = np.unique(found)
    if len(levels) < 2 or bad.all() or not bad.any():
        return Cut(float("nan"), True, 0.5)
    order = np.argsort(found, kind="stable")
    ends = np.searchsorted(found[order], levels[1:])
    bad_below = np.cumsum(bad[order])[ends - 1] / bad.sum()
    others_below = np.cumsum(~bad[order])[ends - 1] / (~bad).sum()
    above = (1 - bad_below + others_below) / 2
    accuracies = np.maximum(above, 1 - above)
    at = int(accuracies.argmax())
    return Cut(_between(levels[at], levels[at + 1]), bool(above[at] >= 0.5), float(accuracies[at]))


def _between(low: float, high: float) -> float:
    """A number from `low` on and below `high`, which rounding could miss where they are close."""
    middle = np.sqrt(low) * np.sqrt(high) if low > 0 else low + (high - low) / 2
    return float(middle if low <= middle < high else low)


def leave_one_out(values: npt.ArrayLike, bad: npt.ArrayLike) -> Bools:
    """Which runs are told to end badly, each by the cut that the others give.

    Args:
        values: (n_runs, n_metrics), finite; with several metrics the one is taken whose cut is
            best on the others, the first of equally good ones. One metric may be (n_runs,).
        bad: booleans (n_runs,).
    """
    bad = np.asarray(bad, bool)
    table = np.asarray(values, np.float64).reshape(len(bad), -1)
    told = np.zeros(len(bad), bool)
    for run in range(len(bad)):
        others = np.arange(len(bad)) != run
        cuts = [best_cut(column[others], bad[others]) for column in table.T]
        best = int(np.argmax([cut.accuracy for cut in cuts]))
        told[run] = cuts[best].tells(table[run, best])
    return told
