"""Whether a run file is growing, killed or sealed, by its first bytes and its lock."""

import os
from pathlib import Path
from typing import Literal

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.runs.locks import is_held, is_locked, lock_path
from vrlprobe.runs.paths import no_such_file

State = Literal["growing", "killed", "sealed"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"

OPEN_FOR_WRITING, OPEN_FOR_SWMR = 1, 4


def consistency_flags(path: Path) -> int:
    """The flags of an HDF5 superblock of version 3: 0 closed, 1 open for writing, 5 in SWMR mode.

    Raises:
        FormatError: the path is missing, no regular file, or not such an HDF5 file.
        IntegrityError: it was closed, and is shorter now than it was then.
    """
    try:
        if not path.exists():
            raise FormatError(no_such_file(path))
        if path.is_dir():
            records = any(path.glob("*.json")) and not any(path.glob("*.h5"))
            suffix = ".json" if records else ".h5"
            raise FormatError(f"{path}: a folder, needed is a file; all in it: {path}/*{suffix}")
        if not path.is_file():
            raise FormatError(f"{path}: not a file, so not a run")
        with path.open("rb") as file:
            start = file.read(36)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    if start[:8] != SIGNATURE:
        hint = " (a record has the log alone, no checkpoints)" if path.suffix == ".json" else ""
        raise FormatError(f"{path}: not an HDF5 file, so not a run{hint}")
    if len(start) < 36 or start[8] != 3:
        hint = " (a result is for vrlprobe plot)" if path.suffix == ".nc" else ""
        raise FormatError(
            f"{path}: not a run: a run file has an HDF5 superblock of version 3{hint}"
        )
    end = int.from_bytes(start[28:36], "little")
    if not start[11] and size < end:
        raise IntegrityError(f"{path}: cut off: {size} bytes are left of {end}")
    return start[11]


def run_state(path: Path) -> State:
    """Whether a run file is growing (a live writer), killed (unsealed, no writer) or sealed."""
    held = is_locked(path) or is_held(path)
    flags = consistency_flags(path)
    if not flags & OPEN_FOR_WRITING:
        return "sealed"
    if not flags & OPEN_FOR_SWMR:
        raise FormatError(
            f"{path}: not yet a run: it is being created, or its writer was killed doing so "
            "(nothing was committed; then remove it)"
        )
    return "growing" if held or is_locked(path) else "killed"


def is_half_made(path: Path) -> bool:
    """Whether a writer was killed while it made a file: its lock is there, and no one holds it."""
    if not lock_path(path).exists() or is_locked(path):
        return False
    with path.open("rb") as file:
        start = file.read(len(SIGNATURE))
    return not any(start) or (start == SIGNATURE and consistency_flags(path) == OPEN_FOR_WRITING)
