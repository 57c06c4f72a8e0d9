"""What a run file asks of the file system: its first bytes, a lock, and writes that last."""

import contextlib
import errno
import fcntl
import glob
import os
import re
import secrets
import struct
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkstemp
from typing import Literal

from vrlprobe.errors import FormatError, IntegrityError, VrlprobeError, did_you_mean

State = Literal["growing", "killed", "sealed"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OPEN_FOR_WRITING, OPEN_FOR_SWMR = 1, 4
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}
"""What asking for a lock gives where the file system has none."""
LOCKS_OF_FILES = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK")
"""Whether a lock can be an open file's, asked for as below; macOS orders `LOCK` otherwise."""
LOCK = "hhqqi4x"
"""What fcntl is asked with: kind, origin, first byte, number of bytes, process."""


class NetworkFileSystemWarning(UserWarning):
    """A run file that is being written lies on a network file system."""


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


def check_new(path: Path) -> None:
    """Raise FormatError where a file is to be made that exists, or whose folder does not."""
    if path.exists():
        raise FormatError(f"{path} exists: choose another name (`output`)")
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise FormatError where a file's folder does not exist."""
    if not path.parent.is_dir():
        raise FormatError(f"cannot write {path}: there is no folder {path.parent}")


def refuse_special(path: Path) -> None:
    """Raise FormatError for a folder, or a device such as /dev/null: a file would replace it."""
    if path.is_dir():
        raise FormatError(f"cannot write {path}: it is a folder")
    if path.exists() and not path.is_file():
        raise FormatError(f"cannot write {path}: it is a device, choose a file's name")


@contextlib.contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends without an error.

    What replaces it is on the disk by then; nothing is left behind after an error.

    Raises:
        FormatError: the file cannot be written, or is none.
    """
    refuse_special(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        fsync_folder(path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _SYSTEM_SAID.search(str(error)):
            raise
        raise FormatError(f"cannot write {path}: {reason(error)}") from error
    except VrlprobeError as error:  # a run's writer has advice on a file that goes now
        if temporary.name not in str(error) or error.__cause__ is None:
            raise
        raise FormatError(f"cannot write {path}: {reason(error.__cause__)}") from error
    finally:
        _let_go(temporary)
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def made_new(path: Path) -> Iterator[Path]:
    """As `replaced_whole`, for a new file that no other process may make meanwhile.

    What kills left of earlier attempts to make it is removed.

    Raises:
        FormatError: it exists, another process makes it, or it cannot be written.
    """
    try:
        lock = RunLock(path)
    except FormatError as error:
        if error.__cause__ is None:
            raise
        raise FormatError(f"cannot write {path}: {reason(error.__cause__)}") from error
    try:
        check_new(path)  # by now
        remove_parts(path)
        with replaced_whole(path) as temporary:
            yield temporary
    finally:
        lock.release()


def remove_parts(path: Path) -> None:
    """Remove what kills left of files that were to replace `path`; for who alone writes it.

    A part that its writer holds locked stays all the same.
    """
    begin = f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"
    for left in (*path.parent.glob(begin), *path.parent.glob(f"{begin}.lock")):
        if not is_locked(left.with_name(left.name.removesuffix(".lock"))):
            with contextlib.suppress(OSError):  # another user's: it hinders nothing
                left.unlink()


def check_room(path: Path, size: int) -> None:
    """Take room for a new file and give it back.

    A library that runs out of it while it writes may print errors of its own, or crash.

    Raises:
        FileExistsError: there is a file, perhaps since the caller looked; it is left alone.
        OSError: there is not so much room.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
    finally:
        os.close(descriptor)
        path.unlink()


_SYSTEM_SAID = re.compile("error message = '([^']*)'")


def reason(error: BaseException) -> str:
    """What the system said, out of HDF5's several lines."""
    if found := _SYSTEM_SAID.search(str(error)):
        return found.group(1)
    return getattr(error, "strerror", None) or " ".join(str(error).split())


def divert(descriptor: int) -> None:
    """Let what is still written to an open file go nowhere.

    HDF5 writes what it still holds when it closes a file, and crashes at the process's end if it
    cannot.
    """
    scratch = os.memfd_create("abandoned") if hasattr(os, "memfd_create") else mkstemp()[0]
    os.dup2(scratch, descriptor)
    os.close(scratch)


def _let_go(path: Path) -> None:
    """Divert what a failed library still holds open of a file that is to be removed."""
    if not path.exists():
        return
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):  # the listing's own descriptor is closed by now
            if os.path.samestat(os.fstat(int(name)), path.stat()):
                divert(int(name))


def fsync_folder(path: Path) -> None:
    """Make a new, renamed or removed name in the folder of `path` last."""
    descriptor = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def warn_if_network(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Warn where `path` lies on a network file system: followers may read stale data there."""
    kind = _file_system(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        warnings.warn(
            f"{path}: on a network file system ({kind}), where a growing run cannot be followed "
            "safely; write it to a local disk (vrltrain --scratch) and move it when it is done",
            NetworkFileSystemWarning,
            stacklevel=3,
        )


def _file_system(path: Path, mounts: Path) -> str:
    folder = path.resolve().parent
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return "unknown"
    points = [(row[1].replace("\\040", " "), row[2]) for row in rows if len(row) > 2]
    on_path = [(len(point), kind) for point, kind in points if folder.is_relative_to(point)]
    return max(on_path, default=(0, "unknown"), key=lambda item: item[0])[1]
