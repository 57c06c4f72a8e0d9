"""Several runs at once: opened together, taken as a list, refused where one is there twice."""

import glob
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.runs.record import Record, config_digest, read_record

Runs = Run | Iterable[Run]
"""Open runs, or one."""
Logged = Run | Record | Iterable[Run | Record]
"""Open runs, or records of finished ones, or one of them."""


class OpenRuns(list[Run]):
    """Runs that are closed together; use it as a context manager, or call `close`."""

    def close(self) -> None:
        """Close every run; safe to call twice."""
        for run in self:
            run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_runs(*paths: str | os.PathLike[str]) -> OpenRuns:
    """Open run files, each named by a path or by a pattern such as `runs/*.h5`.

    Returns:
        A list, in the order of the paths, those of a pattern sorted by name.

    Raises:
        FormatError: nothing is there, or no run; other errors as for `vrlprobe.open_run`. Nothing
            stays open.
    """
    found = OpenRuns()
    with ExitStack() as stack:
        stack.callback(found.close)
        found.extend(open_run(path) for path in _matching(paths))
        stack.pop_all()
    return found


def read_records(*paths: str | os.PathLike[str]) -> list[Record]:
    """Read the records of finished runs, named as for `open_runs`."""
    return [read_record(path) for path in _matching(paths)]


def _matching(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise FormatError(
                f"paths are given one by one (open_runs(*paths)), not as a {type(path).__name__}"
            )
        if Path(path).exists() or not glob.has_magic(os.fspath(path)):
            found.append(Path(path))
        elif matches := sorted(glob.glob(os.fspath(path))):
            found.extend(map(Path, matches))
        else:
            raise FormatError(f"{os.fspath(path)}: no file matches")
    return found


def open_logged(path: Path) -> Run | Record:
    """A run file, or the record of one (`.json`): both have frames, config, log and returns."""
    return read_record(path) if path.suffix == ".json" else open_run(path)


def run_list(runs: Runs) -> list[Run]:
    """Open runs as a list.

    Raises:
        SampleError: none, paths, which must be opened first, or records, which have no networks.
    """
    found = []
    for run in logged_list(runs):
        if isinstance(run, Record):
            raise SampleError(
                f"{run.path.name} is a record, which has no networks: the run's file is needed"
            )
        found.append(run)
    return found


def one_run(run: Run) -> Run:
    """The open run given.

    Raises:
        SampleError: several, or none, or something else.
    """
    found = run_list(run)
    if isinstance(run, Iterable):
        raise SampleError(f"give an open run by itself, not a collection of {len(found)}")
    return run


def logged_list(runs: Logged) -> list[Run | Record]:
    """Open runs and records as a list.

    Raises:
        SampleError: none, or paths, or anything else, instead of them.
    """
    given: Any = runs
    alone = isinstance(given, str) or not isinstance(given, Iterable)
    found = [given] if alone else list(given)
    for run in found:
        if not isinstance(run, Run | Record):
            raise SampleError(
                f"open runs are needed (vrlprobe.open_runs), not {type(run).__name__} "
                f"{str(run)[:80]!r}"
            )
    if not found:
        raise SampleError("at least one run is needed")
    return found


def last_digest(run: Run | Record) -> str:
    """The digest of a run's last checkpoint, of which it has one at least."""
    return run.checkpoint if isinstance(run, Record) else run.digest(int(run.frames[-1]))


def refuse_twice(runs: Sequence[Run | Record]) -> None:
    """Raise SampleError where a run is there twice, under another name or as its record, too.

    It would count double in an average, and in a sample set its episodes would be in several sets.
    """
    seen: dict[tuple[str, str], Path] = {}
    for run in runs:
        if not len(run.frames):
            continue
        key = last_digest(run), config_digest(run.config)
        if key in seen:
            raise SampleError(f"{seen[key]} and {run.path} are one run: give it once")
        seen[key] = run.path
