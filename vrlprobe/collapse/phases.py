"""When action collapse begins and ends in a run."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
CONFIRMED = 2
"""Readings in a row that begin a stage: single ones jump."""


@dataclass(frozen=True)
class Stage:
    """A stretch of a run in one state, from the first to the last of its checkpoints' frames."""

    collapsed: bool
    first: int
    last: int


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
