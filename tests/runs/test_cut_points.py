"""A run file is readable after every single system call of its writer, with all it committed."""

import os
from dataclasses import dataclass, field

import full_run
import pytest
import system_calls

from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.runs.reader import open_run


@dataclass
class Tally:
    """Cut points by outcome; `seen` once the file was a run, and so must stay one."""

    seen: bool = False
    points: int = 0
    not_yet: int = 0
    unreadable: list = field(default_factory=list)
    lost: list = field(default_factory=list)
    torn: list = field(default_factory=list)


def _look(path, point, reported, tally):
    """Open the file as it is at a cut point and hold it against the truth."""
    tally.points += 1
    try:
        with open_run(path) as run:
            count = len(run.frames)
            if not reported <= count <= reported + 1:
                tally.lost.append(point)
            if not _as_written(run, count):
                tally.torn.append(point)
    except VrlprobeError as error:
        if tally.seen or not isinstance(error, FormatError):
            tally.unreadable.append((point, repr(error)))
        tally.not_yet += 1
    else:
        tally.seen = True


def _as_written(run, count):
    try:
        for i in range(count):
            full_run.check_digest(run, i)
        for i in range(max(0, count - 2), count):
            full_run.check(run, i)
    except (AssertionError, VrlprobeError):
        return False
    return True


def _replay(events, path, stride):
    tally, reported = Tally(), 0
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for point, event in enumerate(events):
        if isinstance(event, system_calls.Report):
            reported += event.line.startswith("committed")
            continue
        system_calls.apply(event, descriptor)
        if point % stride == 0:
            _look(path, point, reported, tally)
    os.close(descriptor)
    return tally


@pytest.mark.parametrize("inside_writes", [False, True])
def test_cut_points(tmp_path, cut_points, inside_writes):
    """Also inside a write, at page boundaries, where a kill can stop one."""
    path, copy = tmp_path / "run.h5", tmp_path / "copy.h5"
    commits, more = (8, 2) if cut_points == "all" else (2, 1)
    program = [full_run.__file__, str(path), "--commits", str(commits), "--then-append", str(more)]
    events = system_calls.record(program, path, tmp_path)
    if inside_writes:
        events = [piece for event in events for piece in system_calls.pages(event)]
    tally = _replay(events, copy, stride=1 if cut_points == "all" else 23)
    print(f"{tally.points} points, {tally.not_yet} before it was a run, ", end="")
    print(f"{len(tally.unreadable)} unreadable, {len(tally.lost)} lost, {len(tally.torn)} torn")
    assert (tally.unreadable, tally.lost, tally.torn) == ([], [], [])
    assert copy.read_bytes() == path.read_bytes(), "the replay is not what the writer did"
