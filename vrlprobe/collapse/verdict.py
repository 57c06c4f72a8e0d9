"""Whether a run is healthy, has escaped, is stuck, or is undecided."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vrlprobe._text import html_table
from vrlprobe.collapse.indicators import LOGGED, Indicator
from vrlprobe.collapse.phases import Phase, phases

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Word = Literal["healthy", "escaped", "stuck", "undecided"]
WORDS: tuple[Word, ...] = get_args(Word)
RECENT = 3
"""Measurements at the end of a run whose median is its evidence."""
UNREWARDED = "no training episode had a reward since the first update"


@dataclass(frozen=True)
class Evidence:
    """What a metric says at the end of a run: its median over the last measurements."""

    indicator: Indicator
    value: float
    agrees: bool
    """Whether it is on the side that the run's last phase is on."""

    @property
    def decades(self) -> float:
        """Distance from the threshold as a power of ten, positive where it agrees."""
        distance = abs(self.indicator.decades(self.value))
        return distance if self.agrees else -distance


@dataclass(frozen=True)
class Verdict:
    """A run judged: its phases, one word, and what speaks for it."""

    word: Word
    frame: int | None
    """Where it escaped, or since when it is stuck."""
    phases: tuple[Phase, ...]
    evidence: tuple[Evidence, ...]
    reason: str
    """Why the verdict is not firmer, or that there was nothing to learn from; else empty."""

    def __str__(self) -> str:
        """`stuck since 8,000`."""
        joint = {"escaped": " at ", "stuck": " since "}.get(self.word)
        return self.word if joint is None else f"{self.word}{joint}{self.frame:,}"

    def _repr_html_(self) -> str:
        shown = {item.indicator.name: f"{item.value:.2g}" for item in self.evidence}
        reason = {"reason": self.reason} if self.reason else {}
        return html_table(str(self), {**shown, **reason})


def judge(
    frames: Ints,
    measurements: dict[str, Floats],
    window: int,
    indicators: Sequence[Indicator] = LOGGED,
) -> Verdict:
    """Say whether a run is in action collapse, since when, or when it came out.

    Args:
        frames: (n,), of the checkpoints.
        measurements: by the indicators' names, (n,) each; rows in which the first indicator is
            NaN (before the first update, or of another attempt) don't count. `train_return`,
            where there is one, tells runs that have met no reward.
        window: the frame at which the exploration noise reaches its minimum: a run that is still
            collapsed there is stuck, as few escape later (paper, section 5.1, observation 3).
        indicators: the first one decides, all are evidence; those without measurements are left
            out.

    Raises:
        ValueError: no indicators, or no measurements of the first one.
    """
    if not indicators or indicators[0].name not in measurements:
        wanted = indicators[0].name if indicators else "one"
        raise ValueError(
            f"the first indicator decides, and there are no measurements of {wanted}: there are "
            f"{', '.join(measurements)}"
        )
    first = measurements[indicators[0].name]
    known = np.isfinite(first)
    frames, first = frames[known], first[known]
    found = phases(frames, ~indicators[0].healthy(first))
    if not found:
        return Verdict(
            "undecided", None, (), (), f"too few measurements after the first update, {len(frames)}"
        )
    last = found[-1]
    evidence = tuple(
        _evidence(indicator, measurements[indicator.name][known], last.collapsed)
        for indicator in indicators
        if indicator.name in measurements
        and np.isfinite(measurements[indicator.name][known][-RECENT:]).any()
    )
    word, reason = _word(found, evidence, bool(frames[-1] >= window))
    trained = measurements.get("train_return", np.empty(0))
    trained = trained[np.isfinite(trained)]
    if len(trained) and not trained.any():
        reason = "; ".join(filter(None, [reason, UNREWARDED]))
    frame = {"escaped": last.first, "stuck": last.first}.get(word)
    return Verdict(word, frame, found, evidence, reason)


def _evidence(indicator: Indicator, values: Floats, collapsed: bool) -> Evidence:
    value = float(np.nanmedian(values[-RECENT:]))
    return Evidence(indicator, value, bool(indicator.healthy(value)) != collapsed)


def _word(
    found: Sequence[Phase], evidence: Sequence[Evidence], past_window: bool
) -> tuple[Word, str]:
    if not found[-1].collapsed:
        return ("escaped" if len(found) > 1 else "healthy"), ""
    if not past_window:
        return "undecided", "collapsed, but the exploration noise is still decaying"
    if not all(item.agrees for item in evidence):
        against = ", ".join(item.indicator.name for item in evidence if not item.agrees)
        return "undecided", f"collapsed, but {against} moves"
    return "stuck", f"by {evidence[0].indicator.name} alone" if len(evidence) == 1 else ""
