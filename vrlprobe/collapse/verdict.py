"""Whether a run is healthy, has escaped, is stuck, or is undecided."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vrlprobe.collapse.indicators import LOGGED, Sign
from vrlprobe.collapse.phases import Stage, stages

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Word = Literal["healthy", "escaped", "stuck", "undecided"]
WORDS: tuple[Word, ...] = get_args(Word)
RECENT = 3
"""Readings at the end of a run whose median is its evidence."""
UNREWARDED = "no training episode had a reward since the first update"


@dataclass(frozen=True)
class Evidence:
    """What a metric says at the end of a run: its median over the last readings."""

    sign: Sign
    value: float
    agrees: bool
    """Whether it is on the side that the run's last stage is on."""

    @property
    def decades(self) -> float:
        """Distance from the threshold as a power of ten, positive where it agrees."""
        distance = abs(self.sign.decades(self.value))
        return distance if self.agrees else -distance


@dataclass(frozen=True)
class Verdict:
    """A run judged: its stages, one word, and what speaks for it."""

    word: Word
    frame: int | None
    """Where it escaped, or since when it is stuck."""
    stages: tuple[Stage, ...]
    evidence: tuple[Evidence, ...]
    reason: str
    """Why the verdict is not firmer, or that there was nothing to learn from; else empty."""

    def __str__(self) -> str:
        """`stuck since 8,000`."""
        joint = {"escaped": " at ", "stuck": " since "}.get(self.word)
        return self.word if joint is None else f"{self.word}{joint}{self.frame:,}"


def judge(
    frames: Ints,
    readings: dict[str, Floats],
    window: int,
    signs: Sequence[Sign] = LOGGED,
) -> Verdict:
    """Say whether a run is in action collapse, since when, or when it came out.

    Args:
        frames: (n,), of the checkpoints.
        readings: by the signs' names, (n,) each; rows in which the first sign is NaN (before the
            first update, or of another attempt) don't count. `train_return`, where there is one,
            tells runs that have met no reward.
        window: the frame at which the exploration noise reaches its minimum: a run that is still
            collapsed there is stuck, as few escape later (paper, section 5.1, observation 3).
        signs: the first one decides, all are evidence; those without readings are left out.

    Raises:
        ValueError: no signs, or no readings of the first one.
    """
    if not signs or signs[0].name not in readings:
        wanted = signs[0].name if signs else "one"
        raise ValueError(
            f"the first sign decides, and there are no readings of {wanted}: there are "
            f"{', '.join(readings)}"
        )
    first = readings[signs[0].name]
    known = np.isfinite(first)
    frames, first = frames[known], first[known]
    found = stages(frames, ~signs[0].healthy(first))
    if not found:
        return Verdict(
            "undecided", None, (), (), f"too few readings after the first update, {len(frames)}"
        )
    last = found[-1]
    evidence = tuple(
        _evidence(sign, readings[sign.name][known], last.collapsed)
        for sign in signs
        if sign.name in readings and np.isfinite(readings[sign.name][known][-RECENT:]).any()
    )
    word, reason = _word(found, evidence, bool(frames[-1] >= window))
    trained = readings.get("train_return", np.empty(0))
    trained = trained[np.isfinite(trained)]
    if len(trained) and not trained.any():
        reason = "; ".join(filter(None, [reason, UNREWARDED]))
    frame = {"escaped": last.first, "stuck": last.first}.get(word)
    return Verdict(word, frame, found, evidence, reason)


def _evidence(sign: Sign, values: Floats, collapsed: bool) -> Evidence:
    value = float(np.nanmedian(values[-RECENT:]))
    return Evidence(sign, value, bool(sign.healthy(value)) != collapsed)


def _word(
    found: Sequence[Stage], evidence: Sequence[Evidence], past_window: bool
) -> tuple[Word, str]:
    if not found[-1].collapsed:
        return ("escaped" if len(found) > 1 else "healthy"), ""
    if not past_window:
        return "undecided", "collapsed, but the exploration noise is still decaying"
    if not all(item.agrees for item in evidence):
        against = ", ".join(item.sign.name for item in evidence if not item.agrees)
        return "undecided", f"collapsed, but {against} moves"
    return "stuck", f"by {evidence[0].sign.name} alone" if len(evidence) == 1 else ""
