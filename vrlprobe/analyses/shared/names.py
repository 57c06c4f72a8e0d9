"""Checkpoints by name: a run file and, behind an @, which of its checkpoints."""

import os

from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.collapse.measurements import attempt_phases, measurements
from vrlprobe.collapse.phases import Phase
from vrlprobe.errors import SampleError, TransplantError, UnknownFrameError, did_you_mean
from vrlprobe.runs.reader import Run
from vrlprobe.samples.selection import resolve_frame

CHECKPOINTS = ("last", "best", "collapsed")


def split_name(text: str) -> tuple[str, str]:
    """What stands before and behind the last @; a file whose name has one is taken whole."""
    name, mark, at = text.rpartition("@")
    return (text, "") if not mark or os.path.exists(text) else (name, at)


def parse_at(text: str) -> str | int:
    """Which checkpoint the words behind an @ mean; the last if there are none.

    Raises:
        UnknownFrameError: neither one of `CHECKPOINTS` nor a frame.
    """
    if not text or text in CHECKPOINTS:
        return text or "last"
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        value = float("nan")
    if not value.is_integer():
        guess = did_you_mean(text, CHECKPOINTS, " ({})")
        raise UnknownFrameError(
            f"a checkpoint is {', '.join(CHECKPOINTS)} or a frame, not {text!r}{guess}"
        )
    return int(value)


def frame_at(run: Run, at: str | int) -> tuple[int, str]:
    """A run's checkpoint, and which it is in words.

    Raises:
        TransplantError: it was never in collapse, or has too few measurements to tell.
        SampleError: it has no checkpoint yet.
        UnknownFrameError: no checkpoint at the frame, with the nearest there are.
    """
    if at == "collapsed":
        phase = _last_collapse(run)
        return phase.last, f"the last in collapse ({phase.first:,} to {phase.last:,})"
    frame = resolve_frame(run, at)
    return frame, f"its {at} checkpoint" if isinstance(at, str) else "that checkpoint"


def _last_collapse(run: Run) -> Phase:
    """The last phase of collapse in a run's last attempt; of a verdict, all that needs no window.

    Raises:
        TransplantError: there is none, or too few measurements to tell.
        SampleError: no checkpoint at all.
    """
    if not len(run.frames):
        raise SampleError(f"{run.path.name} has no checkpoint yet")
    whole = measurements(run)
    frames, phases = attempt_phases(whole)[int(whole.attempts[-1])]
    if not phases:
        raise TransplantError(
            f"{run.path.name} does not show whether it was in collapse: checkpoints with a "
            f"measurement of {ACTION_STD.name} are {len(frames)}, too few; name a frame instead"
        )
    found = [phase for phase in phases if phase.collapsed]
    if not found:
        raise TransplantError(f"{run.path.name} was never in collapse: it is healthy")
    return found[-1]
