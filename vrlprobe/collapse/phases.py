"""When action collapse begins and ends in a run."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
CONFIRMED = 2
"""Measurements in a row that begin a phase: single ones jump."""


@dataclass(frozen=True)
class Phase:
    """A stretch of a run in one state, from the first to the last of its checkpoints' frames."""

    collapsed: bool
    first: int
    last: int


def phases(frames: Ints, collapsed: npt.NDArray[np.bool_]) -> tuple[Phase, ...]:
    """A run's phases: a state counts once `CONFIRMED` measurements in a row show it.

    Args:
        frames: (n,), of the checkpoints after the first update.
        collapsed: (n,), the measurement at each.

    Returns:
        Phases in order, alternating, without gaps: measurements that no phase claims belong to the
        phase before them, those at the start to the first. Empty if nothing was confirmed.
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
        Phase(state, int(frames[begin]), int(frames[end - 1]))
        for (begin, state), (end, _) in itertools.pairwise(marks)
    )


def spans(phases: Iterable[tuple[str, int, int]], last: int) -> list[tuple[int, int]]:
    """Stretches of collapse, each from its first checkpoint to the first one after it.

    Args:
        phases: of each checkpoint the phase that it belongs to: `collapsed` where it is collapse,
            its begin, and its end, below 0 where it goes on.
        last: frame to which those that go on are drawn.
    """
    return sorted({(b, e if e >= 0 else last) for word, b, e in phases if word == "collapsed"})
