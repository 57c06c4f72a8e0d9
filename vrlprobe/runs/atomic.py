"""Files that appear whole or not at all, and that last."""

import contextlib
import errno
import glob
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkstemp

from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.runs.locks import RunLock, is_locked
from vrlprobe.runs.paths import check_new, refuse_special


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
