"""Locks that show which run files are being written."""

import contextlib
import errno
import fcntl
import os
import struct
import sys
import time
from pathlib import Path

from vrlprobe.errors import FormatError

NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""What asking for a lock gives where the file system has none."""

LOCKS_OF_FILES = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK")
"""Whether a lock can be an open file's, asked for as below; macOS orders `LOCK` otherwise."""

LOCK = "hhqqi4x"
"""What fcntl is asked with: kind, origin, first byte, number of bytes, process."""


def hold(descriptor: int) -> None:
    """Show that a file is being written, under whatever name, until it is closed."""
    if not LOCKS_OF_FILES:
        return
    with contextlib.suppress(OSError):  # a file system that has no such locks
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK))


def is_held(path: Path) -> bool:
    """Whether a writer holds the file itself, perhaps under another name; unknown is no."""
    if not LOCKS_OF_FILES:
        return False
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK))
        finally:
            os.close(descriptor)
        return bool(struct.unpack(LOCK, found)[0] != fcntl.F_UNLCK)
    return False


def _lock(kind: int) -> bytes:
    """A byte that no file has: locks of its content, which HDF5 may take, do not meet it."""
    return struct.pack(LOCK, kind, os.SEEK_SET, 2**62, 1, 0)


def lock_path(path: Path) -> Path:
    """The sidecar that a live writer of `path` holds locked."""
    return Path(os.path.realpath(path) + ".lock")


def is_locked(path: Path) -> bool:
    """Whether a live writer holds the sidecar of `path`."""
    try:
        descriptor = os.open(lock_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not ours to look at: the careful answer
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


class RunLock:
    """Exclusive hold of a run's sidecar `<path>.lock`, from creation to `release()`.

    The kernel drops it when the process ends in whatever way, which tells killed from growing.

    Raises:
        FormatError: another writer holds it, or there can be none.
    """

    def __init__(self, path: Path, patience: float = 0.5, of: Path | None = None) -> None:
        self.path = lock_path(path)
        deadline = time.monotonic() + patience  # a reader that looks holds it for an instant
        while not self._taken():
            if time.monotonic() > deadline:
                raise FormatError(f"{of or path}: another process is writing this run")
            time.sleep(0.01)

    def _taken(self) -> bool:
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise FormatError(f"{self.path}: cannot be created: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(self._descriptor), self.path.stat()):
                return True
        except OSError as error:  # held by another, or removed by its last holder meanwhile
            if error.errno in NO_LOCKS:
                self.release()
                raise FormatError(
                    f"{self.path}: cannot be locked: {error.strerror}; a run is written on a file "
                    "system with locks (flock)"
                ) from None
        os.close(self._descriptor)
        self._descriptor = -1
        return False

    def release(self) -> None:
        """Remove the sidecar and let go; safe to call twice."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self.path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1
