"""Action collapse: when it begins and ends in a run, and the rule that resets a stuck training.

Pure functions of a run's logged columns, one value a checkpoint; `vrlprobe.studies` reads the
columns, `trainers` applies the rule while it trains.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import check_at_least

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Word = Literal["healthy", "escaped", "stuck", "undecided"]
WORDS: tuple[Word, ...] = get_args(Word)


@dataclass(frozen=True)
class Sign:
    """One metric's reading of collapse.

    Attributes:
        name: column of the log or of a metrics result, with its layer: `grad_norm[mlp1]`.
        threshold: where collapse is told from health.
        healthy_above: False for a metric that rises in collapse.
    """

    name: str
    threshold: float
    healthy_above: bool = True

    def healthy(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which values are on the healthy side; NaN and the threshold itself are not."""
        found = np.asarray(values, np.float64)
        return found > self.threshold if self.healthy_above else found < self.threshold

    def decades(self, value: float) -> float:
        """How far a value is from the threshold, as a power of ten; positive on the healthy side.

        Infinite at 0.
        """
        with np.errstate(divide="ignore"):
            distance = float(np.log10(abs(value)) - np.log10(self.threshold))
        return distance if self.healthy_above else -distance


SPREAD = Sign("action_spread", 0.1)
"""What collapse is: one action whatever the image."""
GRADIENT = Sign("grad_norm[mlp1]", 1e-3)
"""What makes it last: no gradient. The threshold is the paper's (section 5.2)."""
RANK = Sign("numerical_rank[mlp1]", 2.6)
COSINE = Sign("correlation_samples[mlp2]", 0.96, healthy_above=False)
"""Thresholds lie between what collapsed and healthy checkpoints of real runs have: spread up to
0.026 and from 0.17, rank up to 1.9 and from 3.6, cosine from 0.995 and up to 0.92; blank networks
have a spread of 0.06, so rows before the first update don't count (docs/collapse.md)."""
LOGGED = (SPREAD, GRADIENT)
SIGNS = (*LOGGED, RANK, COSINE)
"""What a verdict is made of, the sign that decides first; of `LOGGED` every run has readings, the
others need observations."""
CONSECUTIVE = 5
"""Readings in a row over the threshold that let an attempt go on (paper, section 5.2)."""
CONFIRMED = 2
"""Readings in a row that begin a stage: single ones jump."""
RECENT = 3
"""Readings at the end of a run whose median is its evidence."""
UNREWARDED = "no training episode had a reward since the first update"


def check_sign(sign: Any) -> None:
    """Raise ValueError for anything but a sign."""
    if not isinstance(sign, Sign):
        raise ValueError(f"a sign is a vrlprobe.collapse.Sign, such as {SPREAD}, not {sign!r}")


def check_signs(signs: Any) -> None:
    """Raise ValueError for anything but a sequence of signs, one at least."""
    if not isinstance(signs, Sequence) or isinstance(signs, str):
        raise ValueError(f"signs are given in a list, not as {signs!r}")
    if not signs:
        raise ValueError("a verdict needs a sign that decides")
    for sign in signs:
        check_sign(sign)


@dataclass(frozen=True)
class Stage:
    """A stretch of a run in one state, from the first to the last of its checkpoints' frames."""

    collapsed: bool
    first: int
    last: int


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


def stages(frames: Ints, collapsed: npt.NDArray[np.bool_]) -> tuple[Stage, ...]:
    """A run's stages: a state counts once `CONFIRMED` readings in a row show it.

    Args:
        frames: (n,), of the checkpoints after the first update.
        collapsed: (n,), the reading at each.

    Returns:
        Stages in order, alternating, without gaps: readings that no stage claims belong to the
        stage before them, those at the start to the first. Empty if nothing was confirmed.
    """
    begins: list[tuple[int, bool]] = []
    at = 0
    for state, group in itertools.groupby(collapsed.tolist()):
        length = len(list(group))
        if length >= CONFIRMED and (not begins or begins[-1][1] != state):
            begins.append((at if begins else 0, state))
        at += length
    marks = [*begins, (len(frames), False)]
    return tuple(
        Stage(state, int(frames[begin]), int(frames[end - 1]))
        for (begin, state), (end, _) in itertools.pairwise(marks)
    )


def spans(stages: Iterable[tuple[str, int, int]], last: int) -> list[tuple[int, int]]:
    """Stretches of collapse, each from its first checkpoint to the first one after it.

    Args:
        stages: of each checkpoint the stage that it belongs to: `collapsed` where it is collapse,
            its begin, and its end, below 0 where it goes on.
        last: frame to which those that go on are drawn.
    """
    return sorted({(b, e if e >= 0 else last) for word, b, e in stages if word == "collapsed"})


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


@dataclass(frozen=True)
class Rule:
    """The reset rule (paper, section 5.2): start again unless the window shows life.

    Attributes:
        window: frames of an attempt after which it is decided, m in the paper.
        sign: the metric that is read, and its threshold.
        consecutive: readings in a row on its healthy side that let an attempt go on to the end.
    """

    window: int
    sign: Sign = GRADIENT
    consecutive: int = CONSECUTIVE

    def __post_init__(self) -> None:
        check_at_least(1, window=self.window, consecutive=self.consecutive)
        check_sign(self.sign)

    def streak(self, values: npt.ArrayLike) -> int:
        """Most readings in a row on the healthy side; NaN ones don't count at all."""
        found = np.asarray(values, np.float64)
        groups = itertools.groupby(self.sign.healthy(found[np.isfinite(found)]).tolist())
        return max((len(list(group)) for healthy, group in groups if healthy), default=0)

    def streak_in_window(self, frames: Ints, values: Floats, begin: int = 0) -> int:
        """`streak` of the readings in the window of an attempt that began at `begin`."""
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
        readings: of the rule's metric, frame and value, one an evaluation.
    """

    number: int = 1
    begun: int = 0
    readings: list[tuple[int, float]] = field(default_factory=list)

    def streak(self, rule: Rule) -> int:
        """Most readings in a row, inside the window, that show life."""
        return rule.streak_in_window(*self._arrays(), self.begun)

    def fails(self, rule: Rule) -> bool:
        """Whether the window is over without the streak that the rule asks for."""
        return rule.fires(*self._arrays(), self.begun) is not None

    def _arrays(self) -> tuple[Ints, Floats]:
        frames, values = zip(*self.readings, strict=True) if self.readings else ((), ())
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
