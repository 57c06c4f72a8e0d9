"""A writer killed with SIGKILL at random moments loses nothing that it reported committed."""

import random
import shutil
import subprocess
import sys
import time

import full_run
import pytest

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.salvage import salvage_run
from vrlprobe.runs.state import run_state
from vrlprobe.runs.verify import verify_run
from vrlprobe.runs.writer import RunWriter


def _killed_writer(path, delay):
    """Let a process write as fast as it can, kill it; the checkpoints that it reported."""
    command = [sys.executable, full_run.__file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        rest = process.stdout.read().splitlines()
    return 1 + sum(line.startswith("committed") for line in rest)


def test_kills(tmp_path, kills):
    """Each time: every reported checkpoint is there, as written; it can be gone on with."""
    seed = time.time_ns()
    print(f"seed {seed}")  # pytest shows it where the test fails
    generator = random.Random(seed)
    reported_in_all = 0
    for kill in range(kills):
        path = tmp_path / "run.h5"
        reported = _killed_writer(path, generator.uniform(0, 0.7))
        with open_run(path) as run:
            assert run.state == "killed"
            assert reported <= len(run.frames) <= reported + 1, f"kill {kill}"
            present = len(run.frames)
            for i in range(present):
                full_run.check(run, i)
        assert salvage_run(path) == present
        assert verify_run(path).problems == ()
        with RunWriter.append(path) as writer:
            full_run.commit(writer, present)
        with open_run(path) as run:
            assert run.state == "sealed"
            assert len(run.frames) == present + 1
            full_run.check(run, present)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5"]
        path.unlink()
        reported_in_all += reported
    print(f"{kills} of {kills} kills: {reported_in_all} reported checkpoints, none lost")


def test_killed_while_created_is_not_yet_a_run(tmp_path):
    """The moment before its first page is written leaves a file that one line explains."""
    path = tmp_path / "run.h5"
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import full_run\n"
        "write = os.pwrite\n"
        "def pwrite(file, data, start):\n"
        "    return write(file, data, start) if start else os.kill(os.getpid(), 9)\n"
        "os.pwrite = pwrite\n"
        "full_run.create(sys.argv[2])"
    )
    folder = str(full_run.__file__).rpartition("/")[0]
    subprocess.run([sys.executable, "-c", script, folder, str(path)], check=False)
    with pytest.raises(FormatError, match="not an HDF5 file, so not a run"):
        open_run(path)


def test_a_copy_of_a_growing_run_is_a_killed_one(tmp_path):
    """States: growing while the writer lives, sealed when it closed; a copy has no writer."""
    path, copy = tmp_path / "run.h5", tmp_path / "copy.h5"
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        shutil.copy(path, copy)
        assert (run_state(path), run_state(copy)) == ("growing", "killed")
    assert run_state(path) == "sealed"
    assert salvage_run(copy) == 1


def test_salvage_refuses_a_growing_run(tmp_path):
    """And leaves it and its lock as they are."""
    with full_run.create(tmp_path / "run.h5") as writer:
        full_run.commit(writer, 0)
        with pytest.raises(FormatError, match="still being written"):
            salvage_run(tmp_path / "run.h5")
        full_run.commit(writer, 1)


def test_a_growing_run_under_another_name_is_no_killed_one(tmp_path):
    """Its sidecar has the name that it was begun under; what ends the writer lets go of both."""
    path, moved, linked = (tmp_path / name for name in ("run.h5", "moved.h5", "linked.h5"))
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        linked.hardlink_to(path)
        path.rename(moved)
        for name in (moved, linked):
            assert run_state(name) == "growing"
            with open_run(name) as run:  # whose closing must not let go of the writer's lock
                assert run.state == "growing"
            with pytest.raises(FormatError, match="still being written"):
                salvage_run(name)
        moved.rename(path)
    assert run_state(linked) == "sealed"
    path.unlink()
    _killed_writer(path, 0)
    assert run_state(path) == "killed"


def test_salvage_leaves_a_damaged_run_as_it_is(tmp_path):
    """A checkpoint that cannot be read stops it before anything is replaced."""
    path = tmp_path / "run.h5"
    _killed_writer(path, 0)
    with open_run(path) as run:
        info = run.dataset("checkpoints/actor/policy.2.weight").id.get_chunk_info_by_coord(
            (0, 0, 0)
        )
    with path.open("r+b") as file:
        file.seek(info.byte_offset + 5)
        file.write(b"damaged")
    before = path.read_bytes()
    with pytest.raises(IntegrityError):
        salvage_run(path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.salvaging"))
