"""Files that appear whole or not at all, and that last."""

import contextlib
import fcntl
import glob
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkstemp

from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.runs.locks import NO_LOCKS, RunLock, is_held, is_locked
from vrlprobe.runs.paths import check_new, refuse_special


def write_whole(path: Path, *pieces: bytes | memoryview) -> None:
    """Replace a file by these bytes, one after the other; see `replaced_whole`."""
    with replaced_whole(path) as temporary, temporary.open("wb", buffering=0) as file:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[file.write(rest) :]


@contextlib.contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """An empty temporary file beside `path` that replaces it when the block ends without an error.

    What replaces it is on the disk by then; nothing is left behind after an error. What killed
    processes left of earlier attempts is removed.

    Raises:
        FormatError: the file cannot be written, or is none.
    """
    refuse_special(path)
    with _told(path), _held_part(path) as temporary:
        remove_parts(path)
        yield temporary
        _publish(temporary, path)


@contextlib.contextmanager
def made_new(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` for a new file that no other process may make meanwhile.

    As for `replaced_whole`, but nothing has that name yet.

    Raises:
        FormatError: it exists, another process makes it, or it cannot be written.
    """
    refuse_special(path)
    try:
        lock = RunLock(path)
    except FormatError as error:
        if error.__cause__ is None:
            raise
        raise FormatError(f"cannot write {path}: {reason(error.__cause__)}") from error
    temporary = _part(path)
    try:
        check_new(path)  # by now
        remove_parts(path, mine=True)
        with _told(path, temporary):
            yield temporary
            _publish(temporary, path)
    finally:
        _let_go(temporary)
        temporary.unlink(missing_ok=True)
        lock.release()


def _publish(temporary: Path, path: Path) -> None:
    """Put a file in the place of another, both lasting."""
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    fsync_folder(path)


@contextlib.contextmanager
def _told(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn what the system or HDF5 said of a file, or of its temporary, into one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _SYSTEM_SAID.search(str(error)):
            raise
        raise FormatError(f"cannot write {path}: {reason(error)}") from error
    except VrlprobeError as error:  # a run's writer has advice on a file that goes now
        if temporary is None or temporary.name not in str(error) or error.__cause__ is None:
            raise
        raise FormatError(f"cannot write {path}: {reason(error.__cause__)}") from error


def _part(path: Path) -> Path:
    """A name for what is to replace `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


@contextlib.contextmanager
def _held_part(path: Path) -> Iterator[Path]:
    """A new part of `path`, locked while the process lives, and removed at the end."""
    while True:
        temporary = _part(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)
        try:
            if _locked(descriptor) and _is_same(descriptor, temporary):
                yield temporary
                return  # else another process has just taken it for a dead one's
        finally:
            if _is_same(descriptor, temporary):
                temporary.unlink()
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Lock an open file; False where another process holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:  # where there are none, what kills leave stays
            raise
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def remove_parts(path: Path, mine: bool = False) -> None:
    """Remove what kills left of files that were to replace `path`; what a process holds stays.

    Args:
        path: the file.
        mine: whether this process holds the lock of `path`.
    """
    if not mine and is_locked(path):
        return
    begin = f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.part"
    for part in path.parent.glob(begin):
        with contextlib.suppress(OSError):  # another user's: it hinders nothing
            _remove_dead(part)
    for lock in path.parent.glob(f"{begin}.lock"):
        if not is_locked(lock.with_suffix("")):
            with contextlib.suppress(OSError):
                lock.unlink()


def _remove_dead(part: Path) -> None:
    """Remove a part that no process holds; raises OSError where that cannot be known."""
    descriptor = os.open(part, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_locked(part) and not is_held(part):
            part.unlink()
    finally:
        os.close(descriptor)


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
