"""Runs that are written on a local disk and belong elsewhere, on a network file system perhaps."""

import os
import shutil
from pathlib import Path

from vrlprobe.errors import FormatError, ResumeError, VrlprobeError
from vrlprobe.runs.atomic import replaced_whole
from vrlprobe.runs.paths import no_such_file
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import refuse_to_replace_by_record
from vrltrain.paths import is_begun, record_path


def place_of(path: Path, scratch: Path | None) -> Path:
    """Where a run is written until it is finished: in the scratch folder, under its own name.

    That is where it belongs if the scratch folder is its own, however it is spelled.

    Raises:
        FormatError: there is no such folder.
    """
    if scratch is None:
        return path
    if not scratch.is_dir():
        raise FormatError(f"there is no folder {scratch} to write in (`scratch`)")
    if scratch.resolve() == path.parent.resolve():
        return path
    return scratch / path.name


def place_to_begin(path: Path, scratch: Path | None) -> Path:
    """Where a new run is written; with a scratch folder, where it belongs is looked at now.

    Raises:
        FormatError: there is a run where it belongs or something else in its record's place, or its
            folder cannot be made or written to.
    """
    place = place_of(path, scratch)
    if place != path:
        if is_begun(path):
            raise FormatError(f"{path} exists: choose another name")
        refuse_to_replace_by_record(record_path(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise FormatError(f"cannot write in {path.parent}, where the run belongs")
    return place


def place_to_resume(path: Path, scratch: Path | None) -> Path:
    """Where a run that was stopped lies: in the scratch folder, or in its place already.

    Raises:
        ResumeError: in neither, or different ones in both.
    """
    place = place_of(path, scratch)
    if place.exists():
        _check_same(place, path)
        return place
    if not path.exists():
        if place == path:
            raise ResumeError(no_such_file(path))
        raise ResumeError(f"there is no run {place} and none {path}")
    return path


def deliver(place: Path, path: Path) -> None:
    """Bring a finished run and its record to where they belong, each whole or not at all.

    What was written in the scratch folder goes only when both are there.

    Raises:
        VrlprobeError: something else lies there, or it cannot be written; says where the run is.
    """
    if place == path:
        return
    try:
        _check_same(place, path)
        refuse_to_replace_by_record(record_path(path))
        for made, wanted in ((place, path), (record_path(place), record_path(path))):
            with replaced_whole(wanted) as temporary:
                shutil.copyfile(made, temporary)
    except (VrlprobeError, OSError) as error:
        raise ResumeError(
            f"{error}; the finished run is {place}, then `vrltrain resume {path} --scratch "
            f"{place.parent}` brings it there"
        ) from error
    place.unlink()
    record_path(place).unlink()


def _check_same(place: Path, path: Path) -> None:
    """Raise ResumeError where another run lies in one's place; its own may, delivered by half.

    One without a checkpoint is none.
    """
    if place == path or not is_begun(path):
        return
    if path.samefile(place):
        raise ResumeError(f"{place} and {path} are one file: leave out `scratch`")
    with open_run(place) as here, open_run(path) as there:
        frames = there.frames.tolist()
        same = here.config == there.config and frames == here.frames.tolist()
        if not same or (frames and here.digest(frames[-1]) != there.digest(frames[-1])):
            raise ResumeError(f"{place} and {path} are two runs of one name: rename one")
