"""The rule that resets a stuck training, and what it gives."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import check_at_least
from vrlprobe.collapse.indicators import GRADIENT, Indicator, check_indicator

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CONSECUTIVE = 5
"""Measurements in a row over the threshold that let an attempt go on (paper, section 5.2)."""


@dataclass(frozen=True)
class Rule:
    """The reset rule (paper, section 5.2): start again unless the window shows life.

    Attributes:
        window: frames of an attempt after which it is decided, m in the paper.
        indicator: the metric that is read, and its threshold.
        consecutive: measurements in a row on its healthy side that let an attempt go on to the end.
    """

    window: int
    indicator: Indicator = GRADIENT
    consecutive: int = CONSECUTIVE

    def __post_init__(self) -> None:
        check_at_least(1, window=self.window, consecutive=self.consecutive)
        check_indicator(self.indicator)

    def streak(self, values: npt.ArrayLike) -> int:
        """Most measurements in a row on the healthy side; NaN ones don't count at all."""
        found = np.asarray(values, np.float64)
        groups = itertools.groupby(self.indicator.healthy(found[np.isfinite(found)]).tolist())
        return max((len(list(group)) for healthy, group in groups if healthy), default=0)

    def streak_in_window(self, frames: Ints, values: Floats, begin: int = 0) -> int:
        """`streak` of the measurements in the window of an attempt that began at `begin`."""
        return self.streak(values[(frames > begin) & (frames <= begin + self.window)])

    def fires(self, frames: Ints, values: Floats, begin: int = 0) -> int | None:
        """The frame at which it would reset an attempt that began at `begin`; None to keep it.

        Also None while the attempt has not reached the end of its window.
        """
        end = begin + self.window
        if not len(frames) or frames[-1] < end:
            return None
        if self.streak_in_window(frames, values, begin) >= self.consecutive:
            return None
        return int(frames[frames >= end][0])

    def attempts(self, total: int) -> int:
        """Attempts that fit in a run of `total` frames: n in 1 - p^n."""
        return total // self.window


@dataclass
class Attempt:
    """A training from scratch, in progress.

    Attributes:
        number: 1 for the first.
        begun: the frame at which it began.
        measurements: of the rule's metric, frame and value, one an evaluation.
    """

    number: int = 1
    begun: int = 0
    measurements: list[tuple[int, float]] = field(default_factory=list)

    def streak(self, rule: Rule) -> int:
        """Most measurements in a row, inside the window, that show life."""
        return rule.streak_in_window(*self._arrays(), self.begun)

    def fails(self, rule: Rule) -> bool:
        """Whether the window is over without the streak that the rule asks for."""
        return rule.fires(*self._arrays(), self.begun) is not None

    def _arrays(self) -> tuple[Ints, Floats]:
        frames, values = zip(*self.measurements, strict=True) if self.measurements else ((), ())
        return np.array(frames, np.int64), np.array(values, np.float64)


def success_probability(
    stuck: int, runs: int, attempts: int, level: float = 0.95
) -> tuple[float, float, float]:
    """1 - p^n, the chance that one of n attempts escapes (paper, proposition 1), with an interval.

    Args:
        stuck: runs of which the first attempt stayed in collapse.
        runs: all of them; p is stuck / runs.
        attempts: n.
        level: of the exact (Clopper-Pearson) interval of p, carried over to 1 - p^n.

    Returns:
        Estimate, lower and upper end.

    Raises:
        ValueError: no runs, or more stuck ones than runs.
    """
    if not 0 <= stuck <= runs or runs == 0:
        raise ValueError(f"{stuck} stuck of {runs} runs gives no share")
    from scipy import stats  # takes a second to import, and the settings of a training need none

    interval = stats.binomtest(stuck, runs).proportion_ci(level, method="exact")
    low, high = float(interval.low), float(interval.high)
    return 1 - (stuck / runs) ** attempts, 1 - high**attempts, 1 - low**attempts
