"""Runs that are written on a local disk and belong elsewhere, on a network file system perhaps."""

import shutil
from pathlib import Path

from trainers.run import record_path
from vrlprobe.errors import FormatError, ResumeError
from vrlprobe.format.filesystem import replaced_whole


def place_of(path: Path, scratch: Path | None) -> Path:
    """Where a run is written until it is finished: in the scratch folder, under its own name.

    Raises:
        FormatError: there is no such folder.
    """
    if scratch is None:
        return path
    if not scratch.is_dir():
        raise FormatError(f"there is no folder {scratch} to write in (--scratch)")
    return scratch / path.name


def place_to_begin(path: Path, scratch: Path | None) -> Path:
    """Where a new run is written.

    Raises:
        FormatError: there is one where it belongs.
    """
    if scratch is not None and path.exists():
        raise FormatError(f"{path} exists: choose another name")
    return place_of(path, scratch)


def place_to_resume(path: Path, scratch: Path | None) -> Path:
    """Where a run that was stopped lies: in the scratch folder, or in its place already.

    Raises:
        ResumeError: in neither.
    """
    place = place_of(path, scratch)
    if place.exists():
        return place
    if not path.exists():
        raise ResumeError(f"there is no run {place}" + (f" and none {path}" if scratch else ""))
    return path


def deliver(place: Path, path: Path) -> None:
    """Bring a finished run and its record to where they belong, each whole or not at all.

    What was written in the scratch folder goes only when both are there.
    """
    if place == path:
        return
    for made, wanted in ((place, path), (record_path(place), record_path(path))):
        with replaced_whole(wanted) as temporary:
            shutil.copyfile(made, temporary)
    place.unlink()
    record_path(place).unlink()
