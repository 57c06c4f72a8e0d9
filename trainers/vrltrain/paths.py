"""What belongs to a run lies beside its file, under its name."""

import os
from pathlib import Path

from vrlprobe.errors import FormatError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.state import is_half_made


def followed(run: Path) -> Path:
    """The file of a run that is named by a link: beside it is what belongs to it."""
    return Path(os.path.realpath(run)) if run.is_symlink() else run


def record_path(path: Path) -> Path:
    """The record that a finished run leaves: `seed3.json` for `seed3.h5`."""
    return _beside(path, ".json")


def resume_folder(run: Path) -> Path:
    """The folder of a run's resume state."""
    return _beside(run, ".resume")


def _beside(run: Path, suffix: str) -> Path:
    """A run's path with another ending.

    Raises:
        FormatError: it has no name, as `/`.
    """
    if not (found := followed(run)).name:
        raise FormatError(f"{run}: a folder, needed is a run's file")
    return found.with_suffix(suffix)


def trace_path(path: Path) -> Path:
    """Where the traceback of a run goes that broke: `seed3.error.txt` for `seed3.h5`."""
    return path.with_suffix(".error.txt")


def is_begun(path: Path) -> bool:
    """Whether there is a run to go on with: one stopped before its first checkpoint is none.

    Raises:
        FormatError: the file there is no run.
        IntegrityError: it is a damaged one.
        UnsafeFileError: it holds what no run has.
    """
    if not path.exists() or (path.is_file() and is_half_made(path)):
        return False
    with open_run(path) as run:
        return bool(len(run.frames)) or run.state == "growing"
