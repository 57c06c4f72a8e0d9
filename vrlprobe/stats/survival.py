"""How long attempts stay in action collapse, and what waiting or starting again gives.

Pure functions of one duration an attempt; `vrlprobe.analyses._survival` reads them from logs. An
attempt that ended in collapse, or has not ended, counts for as long as it was seen: it is
right-censored.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from vrlprobe.stats.bootstrap import expanded_tail

Floats = npt.NDArray[np.float64]
RESAMPLES = 2000


class Curve:
    """The share of attempts still in collapse, by the frames since they began.

    The product-limit estimate (Kaplan and Meier, 1958): steps, continuous from the right. Beyond
    the longest attempt nothing is known; the share stays there.

    Args:
        durations: (n_attempts,), frames from an attempt's start until it left collapse, or until
            its last measurement.
        out: booleans (n_attempts,), which left it.

    Raises:
        ValueError: no attempts.
    """

    def __init__(self, durations: npt.ArrayLike, out: npt.ArrayLike) -> None:
        found, out = np.asarray(durations, np.float64), np.asarray(out, bool)
        if not found.size:
            raise ValueError("no attempts, so no curve")
        self._steps = stats.ecdf(stats.CensoredData.right_censored(found, ~out)).sf
        self._edges = np.unique(np.concatenate([[0.0], found]))
        heights = self.share(self._edges)
        self._spent = np.concatenate([[0.0], np.cumsum(heights[:-1] * np.diff(self._edges))])
        self._last = float(heights[-1])

    def share(self, frames: npt.ArrayLike) -> Floats:
        """Share still in collapse, at each of `frames`."""
        found: Floats = self._steps.evaluate(np.asarray(frames, np.float64))
        return found

    def interval(self, frames: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
        """Ends of `share`, each by itself, from Greenwood's variance of its double logarithm.

        NaN where the share is 0 or 1.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of what is NaN
            ends = self._steps.confidence_interval(level, method="log-log")
        at = np.asarray(frames, np.float64)
        share = self.share(at)
        inside = (share > 0) & (share < 1)
        low, high = (np.where(inside, end.evaluate(at), np.nan) for end in (ends.low, ends.high))
        return low, high

    def median(self, level: float = 0.95) -> tuple[float, float, float]:
        """The first time at which at most half remain, with its interval.

        The interval holds the times at which the interval of the share (`interval`) covers one
        half (Brookmeyer and Crowley, 1982). Infinite where the curve, or its bound, stays above
        one half.
        """
        low, high = self.interval(self._edges, level)
        curves = self.share(self._edges), low, high
        found = [self._edges[curve <= 0.5 + 1e-12] for curve in curves]
        middle, first, last = (float(at[0]) if len(at) else math.inf for at in found)
        return middle, min(first, middle), last

    def spent(self, frames: npt.ArrayLike) -> Floats:
        """Mean frames in collapse of an attempt that is given up after `frames`."""
        at = np.asarray(frames, np.float64)
        beyond = np.maximum(at - self._edges[-1], 0) * self._last
        found: Floats = np.interp(at, self._edges, self._spent) + beyond
        return found

    def frames_per_escape(self, cutoffs: npt.ArrayLike) -> Floats:
        """Mean frames until an attempt comes out, where each is given up after a cutoff.

        Attempts are taken as alike and independent; the frames of all that are given up count
        (the fixed cutoff of Luby, Sinclair and Zuckerman, 1993). Infinite where none is out.
        """
        out = 1 - self.share(cutoffs)
        never = np.full(out.shape, np.inf)
        found: Floats = np.divide(self.spent(cutoffs), out, out=never, where=out > 0)
        return found

    def escape_within(self, waited: float, left: float) -> tuple[float, float]:
        """What an attempt may expect that has been in collapse for `waited` of its frames.

        Returns:
            The chance that it comes out within the `left` frames to come, and the mean number of
            them that are then left to learn in; NaN where no attempt was seen for longer.
        """
        if waited >= self._edges[-1]:
            return float("nan"), float("nan")
        end = waited + left
        inside = self._edges[(self._edges > waited) & (self._edges < end)]
        edges = np.concatenate([[waited], inside, [end]])
        out = 1 - self.share(edges) / self.share(waited)
        return float(out[-1]), float(out[:-1] @ np.diff(edges))


def resampled(
    durations: npt.ArrayLike,
    out: npt.ArrayLike,
    runs: npt.ArrayLike,
    statistic: Callable[[Curve], Any],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Floats:
    """A statistic of the curve on bootstrap samples of runs, attempts of one run together.

    Args:
        durations, out: see `Curve`.
        runs: (n_attempts,), to which run each attempt belongs.
        statistic: a number or an array of always the same shape.
        seed: of the draws; the same gives the same samples.
        resamples: number of samples.

    Returns:
        (resamples, ...).
    """
    durations, out = np.asarray(durations, np.float64), np.asarray(out, bool)
    labels = np.unique(np.asarray(runs), return_inverse=True)[1]
    members = [np.flatnonzero(labels == run) for run in range(labels.max() + 1)]
    rng = np.random.default_rng(seed)
    found = []
    for draw in rng.integers(len(members), size=(resamples, len(members))):
        rows = np.concatenate([members[run] for run in draw])
        found.append(statistic(Curve(durations[rows], out[rows])))
    return np.asarray(found, np.float64)


def bounds(draws: npt.ArrayLike, runs: int, level: float = 0.95) -> tuple[Floats, Floats]:
    """Interval over the first axis, of draws that may be infinite, without those at NaN.

    Args:
        draws: (n_draws, ...), of bootstrap samples of runs.
        runs: how many are drawn, see `vrlprobe.stats.bootstrap.expanded_tail`.
        level: of the interval.

    Returns:
        Lower and upper end, each (...); NaN where no draw is a number.
    """
    ordered = np.sort(np.asarray(draws, np.float64), axis=0)  # NaN come last
    number = (~np.isnan(ordered)).sum(axis=0)
    tail = expanded_tail(runs, level)
    ends = []
    for part in (tail, 1 - tail):
        at = np.clip(np.ceil(part * number) - 1, 0, None).astype(np.int64)
        ends.append(np.take_along_axis(ordered, at[None], axis=0)[0])
    return ends[0], ends[1]
