"""Locks show who writes a run."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from vrlprobe.errors import FormatError
from vrlprobe.runs.locks import RunLock, is_locked, lock_path


def test_a_lock_is_seen_and_goes(tmp_path):
    """Held, refused to a second, gone with its file."""
    path = tmp_path / "run.h5"
    assert not is_locked(path)
    lock = RunLock(path)
    assert is_locked(path)
    with pytest.raises(FormatError, match="another process is writing"):
        RunLock(path, patience=0.05)
    lock.release()
    lock.release()
    assert not is_locked(path)
    assert not lock_path(path).exists()


def test_a_stale_lock_file_is_no_lock(tmp_path):
    """As a killed writer leaves it."""
    path = tmp_path / "run.h5"
    script = (
        "import sys, os; from pathlib import Path; from vrlprobe.runs.locks import RunLock;"
        "lock = RunLock(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert lock_path(path).exists()
    assert not is_locked(path)
    RunLock(path).release()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    wanted = (
        r"run\.h5\.lock: cannot be locked: No locks available; a run is written on a file system"
    )
    with pytest.raises(FormatError, match=wanted):
        RunLock(tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


def test_two_names_of_a_file_share_a_lock(tmp_path):
    """A symbolic link is the same run."""
    link = tmp_path / "link.h5"
    link.symlink_to(tmp_path / "run.h5")
    lock = RunLock(tmp_path / "run.h5")
    assert is_locked(link)
    lock.release()
