"""Paths that are given: what they must be, and what is said where they are not."""

import errno
import os
from pathlib import Path

from vrlprobe.errors import FormatError, did_you_mean


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path given as text or as such; raises FormatError for anything else: an open run."""
    if not isinstance(path, str | os.PathLike):
        raise FormatError(f"a file's path is needed, not {type(path).__name__} {str(path)[:80]!r}")
    return Path(path)


def no_such_file(path: Path) -> str:
    """A message for a missing path, with what is there under nearly that name."""
    message, folder = f"{path}: no such file", path.parent
    try:
        if folder.is_dir():
            there = (name for name in os.listdir(folder) if not name.endswith((".lock", ".part")))
            return message + did_you_mean(path.name, there, "; {}")
        near = did_you_mean(folder.name, os.listdir(folder.parent), "; {}")
    except OSError:  # not ours to look at, or no folder either
        near = ""
    return f"{message}, as there is no folder {folder}{near}"


def check_new(path: Path) -> None:
    """Raise FormatError where a file is to be made that exists, or whose folder does not."""
    refuse_special(path)
    if path.exists():
        raise FormatError(f"{path} exists: choose another name (`output`)")
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise FormatError where a file's folder does not exist."""
    if not path.parent.is_dir():
        raise FormatError(f"cannot write {path}: there is no folder {path.parent}")


LONGEST_NAME = 230
"""Bytes of a file's name: with what is added to temporary files and locks, systems take 255."""


def refuse_special(path: Path) -> None:
    """Raise FormatError for a folder, or a device such as /dev/null: a file would replace it.

    For a loop of links and a name that is too long, too.
    """
    if (size := len(os.fsencode(path.name))) > LONGEST_NAME:
        raise FormatError(
            f"cannot write {str(path)[:60]}…: its name has {size} bytes, the most is {LONGEST_NAME}"
        )
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FormatError(f"cannot write {path}: it is a loop of links") from None
    if path.is_dir():
        raise FormatError(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        raise FormatError(f"cannot write {path}: it is a device, choose a file's name")
