"""Locks, states, and network file systems."""

import errno
import fcntl
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from vrlprobe.errors import FormatError
from vrlprobe.runs.atomic import made_new, remove_parts
from vrlprobe.runs.locks import RunLock, is_locked, lock_path
from vrlprobe.runs.mounts import NetworkFileSystemWarning, warn_if_network
from vrlprobe.runs.paths import no_such_file
from vrlprobe.runs.reader import open_run


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
        "import sys, os; from pathlib import Path; from vrlprobe.runs.state import RunLock;"
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


MAKES = """
import os, sys
from pathlib import Path
import numpy as np
from vrlprobe.runs.state import made_new
from vrlprobe.runs.writer import RunWriter

values = {"actor/a": np.ones(3, np.float32)}
with made_new(Path(sys.argv[1])) as part:
    with RunWriter.create(part, config={}, parameters=values) as writer:
        writer.commit(0, values)
        print("at work", flush=True)
        sys.stdin.readline()
    print("closed", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def maker(tmp_path):
    """A process that makes `new.h5`, up to the first line that it says."""
    command = [sys.executable, "-c", MAKES, str(tmp_path / "new.h5")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def test_what_a_killed_process_made_goes_with_the_next(tmp_path, maker):
    """The part and its lock, too; not what other files were to replace."""
    path = tmp_path / "new.h5"
    maker.kill()
    maker.wait()
    assert len(list(tmp_path.glob(".new.h5.*"))) == 2
    other = tmp_path / ".new.h5.h5.0a1b2c3d.part"
    other.touch()
    with made_new(path) as part:
        assert list(tmp_path.glob(".new.h5.*")) == [other]
        part.write_text("whole")
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_a_file_that_is_being_made_is_left_to_its_maker(tmp_path, maker):
    path = tmp_path / "new.h5"
    remove_parts(path)
    for said in ("closed\n", ""):
        with (
            pytest.raises(FormatError, match=r"new\.h5: another process is writing"),
            made_new(path),
        ):
            pass
        maker.stdin.write("\n")
        maker.stdin.flush()
        assert maker.stdout.readline() == said
    assert maker.wait() == 0
    with open_run(path) as run:
        assert run.frames.tolist() == [0]
    with pytest.raises(FormatError, match="exists: choose another name"), made_new(path):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_network_file_systems_are_warned_of(tmp_path):
    """The innermost mount decides."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"disk / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040nfs nfs4 rw 0 0\n"
        f"disk {tmp_path}/my\\040nfs/local ext4 rw 0 0\n"
    )
    with pytest.warns(NetworkFileSystemWarning, match="nfs4"):
        warn_if_network(tmp_path / "my nfs" / "run.h5", mounts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_network(tmp_path / "my nfs" / "local" / "run.h5", mounts)
        warn_if_network(tmp_path / "run.h5", mounts)
        warn_if_network(tmp_path / "run.h5", tmp_path / "no mounts here")


def test_a_missing_file_is_told_with_its_neighbour(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in ("seed3.h5", "seed3.h55.lock", "seed3.h55.part", "other.txt"):
        (runs / name).touch()
    near = no_such_file(runs / "sed3.h5")
    assert near == f"{runs}/sed3.h5: no such file; did you mean seed3.h5?"
    assert no_such_file(runs / "seed3").endswith("did you mean seed3.h5?")
    assert no_such_file(runs / "zzz") == f"{runs}/zzz: no such file"
    folder = tmp_path / "run"
    begin = f"{folder}/seed3.h5: no such file, as there is no folder {folder}"
    assert no_such_file(folder / "seed3.h5") == f"{begin}; did you mean runs?"
    assert no_such_file(folder / "no" / "a").endswith(f"there is no folder {folder}/no")
