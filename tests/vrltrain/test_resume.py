"""Trainings that are stopped, killed or begun twice: how they go on, and what they leave."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from tests.vrltrain.tiny import OPTIONS, TINY, Stop, same_runs, stop_at
from vrlprobe.errors import FormatError, IntegrityError, ResumeError
from vrlprobe.runs import build
from vrlprobe.runs.locks import RunLock, lock_path
from vrlprobe.runs.reader import open_run
from vrltrain import train
from vrltrain.cli import main
from vrltrain.device_replay import DeviceReplay
from vrltrain.paths import resume_folder
from vrltrain.run import begin, create_writer, resume
from vrltrain.train import Training, quiet

pytestmark = pytest.mark.needs("egl")


def test_a_second_training_of_one_path_touches_nothing(tmp_path: Path, unbroken: Path) -> None:
    """It begins after the first has made its replay, and before the first makes its file."""
    path = tmp_path / "run.h5"
    begun = []

    def begin_again(_: int) -> None:
        with pytest.raises(FormatError, match=r"run\.h5: another process is writing this run"):
            begin(TINY, path, quiet, quiet)
        begun.append(path)

    with pytest.raises(Stop):
        begin(TINY, path, stop_at(2500), begin_again)
    assert begun
    state = {item.name: item.stat().st_mtime_ns for item in resume_folder(path).iterdir()}
    lock = RunLock(resume_folder(path))
    with pytest.raises(ResumeError, match=r"run\.h5: another process is writing this run"):
        resume(path, quiet)
    lock.release()
    assert {item.name: item.stat().st_mtime_ns for item in resume_folder(path).iterdir()} == state
    assert resume(path, quiet)
    same_runs(path, unbroken)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.h5", "run.json"]


def test_a_run_that_was_begun_meanwhile_is_not_replaced(
    tmp_path: Path, unbroken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    taken = RunLock._taken

    def taken_late(lock: RunLock) -> bool:  # another process begins and ends while this one waits
        if lock.path == lock_path(resume_folder(path)):
            shutil.copy(unbroken, path)
        return taken(lock)

    monkeypatch.setattr(RunLock, "_taken", taken_late)
    with pytest.raises(FormatError, match="exists: choose another name"):
        begin(TINY, path, quiet, quiet)
    same_runs(path, unbroken)


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: BinaryIO, **arrays: np.ndarray) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_up(training: Training) -> None:
        if training.frame >= 2000:
            monkeypatch.setattr(np, "savez", fail)

    path = tmp_path / "run.h5"
    with pytest.raises(ResumeError, match=r"2000\.npz: No space left .*; make room, then go on"):
        begin(TINY, path, fill_up, quiet)
    monkeypatch.undo()
    left = sorted(item.name for item in resume_folder(path).iterdir())
    assert left == ["000000001000.npz", "replay.bin"]
    assert resume(path, quiet)
    same_runs(unbroken, path)


def test_a_run_that_is_moved_meanwhile_stops_and_goes_on_where_it_is_put_back(
    unbroken: Path, tmp_path: Path
) -> None:
    """Its lock has the name that it was begun under: as another it looks killed."""
    path, moved = tmp_path / "run.h5", tmp_path / "moved.h5"

    def move(training: Training) -> None:
        if training.frame == 2000 and path.exists():
            path.rename(moved)

    with pytest.raises(IntegrityError, match=r"run\.h5: moved, removed or replaced while it was"):
        begin(TINY, path, move, quiet)
    with open_run(moved) as run:
        assert (run.state, run.frames.tolist()) == ("sealed", [0, 1000])
    moved.rename(path)
    assert resume(path, quiet)
    same_runs(unbroken, path)


@pytest.mark.parametrize("frame", [1000, 2500, 3000])
def test_a_resumed_run_equals_an_unbroken_one(unbroken: Path, tmp_path: Path, frame: int) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(TINY, path, stop_at(frame), quiet)
    assert resume_folder(path).exists()
    assert resume(path, quiet)
    same_runs(unbroken, path)
    assert not resume(path, quiet)  # complete


def test_a_run_whose_replay_a_device_keeps_equals_an_unbroken_one(
    unbroken: Path, tmp_path: Path, monkeypatch
) -> None:
    """The device is the processor here: what it is to a training does not depend on which."""

    monkeypatch.setattr(train, "make_replay", DeviceReplay)
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(TINY, path, stop_at(2500), quiet)
    assert resume(path, quiet)
    same_runs(path, unbroken)


def test_a_killed_run_resumes_to_an_unbroken_one(unbroken: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**TINY.stored(), "rule_window": None}))
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from vrltrain.config.profiles import TrainConfig\n"
        "from vrltrain.run import begin\n"
        "settings = json.loads(Path(sys.argv[1]).read_text())\n"
        "del settings['rule_window']\n"
        "show = lambda t: print(t.frame, t.last_return, flush=True)\n"
        "begin(TrainConfig(**settings), Path(sys.argv[2]), show, lambda size: None)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(config), str(path)], stdout=subprocess.PIPE, text=True
    )
    for line in child.stdout:
        if line.startswith("3000"):
            break
    time.sleep(0.3)
    child.kill()
    child.wait()
    child.stdout.close()
    with open_run(path) as run:
        assert run.state == "killed"
        assert 2000 in run.frames
    resume(path, quiet)
    same_runs(unbroken, path)


def test_a_run_that_cannot_be_read_for_a_moment_is_kept(
    unbroken: Path, tmp_path: Path, monkeypatch
) -> None:
    """A network file system's error ends the training, and the look at what it left, too."""

    def fail(training: Training) -> None:
        if training.frame >= 2500:
            monkeypatch.setattr(consistency, "consistency_flags", cannot_read)
            raise OSError(errno.EIO, "Input/output error")

    def cannot_read(path: Path) -> int:
        raise FormatError(f"{path}: cannot be read: Input/output error")

    consistency = sys.modules["vrlprobe.runs.state"]
    path = tmp_path / "run.h5"
    with pytest.raises(OSError, match="Input/output error"):
        begin(TINY, path, fail, quiet)
    monkeypatch.undo()
    assert resume(path, quiet)
    same_runs(path, unbroken)


def test_a_run_goes_on_on_another_device(tmp_path: Path) -> None:
    """The settings that it keeps are those that it was begun with."""
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(TINY, path, stop_at(2500), quiet)
    refused = CliRunner().invoke(main, ["resume", str(path), "--device", "quantum"])
    assert refused.exit_code == 1
    assert "device 'quantum' cannot be used here" in refused.output
    done = CliRunner().invoke(main, ["resume", str(path), "--device", "cpu:0"])
    assert done.exit_code == 0, done.output
    with open_run(path) as run:
        assert run.state == "sealed"
        assert run.config["device"] == "cpu"


def test_sigterm_ends_with_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    child = subprocess.Popen(
        [sys.executable, "-m", "vrltrain.cli", "run", *OPTIONS, "-o", str(path)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TERM": "dumb"},
    )
    while not (path.exists() and len(_frames(path))):
        assert child.poll() is None
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert f"continue with: vrltrain resume {path}" in errors
    assert "Traceback" not in errors
    with open_run(path) as run:
        assert run.state == "sealed"
        assert len(run.frames)


def _frames(path: Path) -> np.ndarray:
    try:
        with open_run(path) as run:
            return run.frames
    except FormatError:  # between creation and the switch to appending
        return np.array([])


def test_a_missing_state_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(TINY, path, stop_at(1000), quiet)
    for archive in resume_folder(path).glob("*.npz"):
        whole = archive.read_bytes()
        for damaged in (whole[:1000], whole.replace(b"{'descr'", b"(('descr'")):
            archive.write_bytes(damaged)
            with pytest.raises(ResumeError, match="is damaged"):
                resume(path, quiet)
    for archive in resume_folder(path).glob("*.npz"):
        archive.unlink()
    with pytest.raises(ResumeError, match="is missing"):
        resume(path, quiet)


def test_a_damaged_file_does_not_hide_why_a_training_ended(unbroken: Path, tmp_path: Path) -> None:
    """One that took the name of the run before its first checkpoint, and is not the training's."""
    path, other = tmp_path / "run.h5", tmp_path / "other.h5"
    other.write_bytes(unbroken.read_bytes()[:-1000])

    def stop(_: Training) -> None:
        other.replace(path)
        raise Stop

    with pytest.raises(Stop):
        begin(TINY, path, stop, quiet)
    assert path.read_bytes() == unbroken.read_bytes()[:-1000]


def test_a_run_stopped_before_its_first_checkpoint_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    arguments = ["run", *OPTIONS, "--total-frames", "1001", "-o", str(path)]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Training, "evaluate", interrupt)
        stopped = CliRunner().invoke(main, arguments)
    assert stopped.exit_code == 130
    assert stopped.stderr.endswith("stopped; it has no checkpoint yet, nothing was kept\n")
    assert list(tmp_path.iterdir()) == []
    config = replace(TINY, total_frames=1001)
    with closing(Training(config, tmp_path / "replay")) as training:
        create_writer(path, training).close()  # as a kill at that moment leaves it
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.stderr
    assert _frames(path).tolist() == [0, 1000]


@pytest.mark.parametrize("written", [False, True])
def test_a_file_whose_making_was_killed_is_made_anew(tmp_path: Path, written: bool) -> None:
    """It is none of this package's where no lock lies beside it."""
    path = tmp_path / "run.h5"
    with h5py.File(tmp_path / "made.h5", "w", libver=build.VERSIONS) as file:
        file.flush()
        path.write_bytes((tmp_path / "made.h5").read_bytes() if written else bytes(9))
    (tmp_path / "made.h5").unlink()
    with pytest.raises(FormatError, match="not yet a run" if written else "not an HDF5 file"):
        begin(TINY, path, quiet, quiet)
    lock_path(path).touch()
    begin(replace(TINY, total_frames=1001), path, quiet, quiet)
    assert _frames(path).tolist() == [0, 1000]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.h5", "run.json"]


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    for path, seed in ((one, 0), (two, 1)):
        with pytest.raises(Stop):
            begin(replace(TINY, seed=seed), path, stop_at(1000), quiet)
    for archive in resume_folder(two).glob("*.npz"):
        (resume_folder(one) / archive.name).write_bytes(archive.read_bytes())
    with pytest.raises(ResumeError, match="is the state of another run"):
        resume(one, quiet)


def test_half_a_replay_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(TINY, path, stop_at(1000), quiet)
    replay = resume_folder(path) / "replay.bin"
    os.truncate(replay, replay.stat().st_size // 2)
    with pytest.raises(ResumeError, match="it is not whole"):
        resume(path, quiet)


def test_a_complete_run_leaves_no_state(unbroken: Path) -> None:
    resume_folder(unbroken).mkdir()
    for locked in (unbroken, resume_folder(unbroken)):
        lock_path(locked).touch()  # as a kill leaves them
    unbroken.with_name(".run.json.0a1b2c3d.part").touch()
    assert not resume(unbroken, quiet)
    assert sorted(item.name for item in unbroken.parent.iterdir()) == ["run.h5", "run.json"]


def test_a_kill_at_the_end_leaves_nothing_that_a_sweep_would_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with a record is done: what there is to resume from has gone by then."""
    path = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        patch.setattr("vrltrain.run.write_record", _stop)
        with pytest.raises(Stop):
            begin(replace(TINY, total_frames=1001), path, quiet, quiet)
    assert [item.name for item in tmp_path.iterdir()] == ["run.h5"]
    assert not resume(path, quiet)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.h5", "run.json"]


def _stop(*_: object) -> None:
    raise Stop


def test_half_a_state_that_a_kill_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(TINY, path, stop_at(2500), quiet)
    left = resume_folder(path) / ".000000003000.npz.0a1b2c3d.part"
    left.touch()
    with pytest.raises(Stop):
        resume(path, stop_at(3500))
    assert not left.exists()


def test_a_run_killed_before_its_first_checkpoint_starts_again(
    tmp_path: Path, unbroken: Path
) -> None:
    """From its settings, as `vrltrain run` on the same path would."""
    path = tmp_path / "run.h5"
    with closing(Training(TINY, tmp_path / "replay.bin")) as training:
        create_writer(path, training).close()
    (tmp_path / "replay.bin").unlink()
    assert resume(path, quiet)
    same_runs(path, unbroken)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.h5", "run.json"]


def test_the_root_folder_is_no_run() -> None:
    with pytest.raises(FormatError, match="a folder, needed is a run's file"):
        resume_folder(Path("/"))


@pytest.mark.parametrize("capacity", [120, 1000])
def test_a_longer_end_gives_the_run_that_was_begun_with_it(tmp_path: Path, capacity: int) -> None:
    """Stopped, and finished with its state kept; a replay of all transitions grows."""
    short = replace(TINY, replay_capacity=capacity, final_episodes=1)
    long = replace(short, total_frames=6001)
    begin(long, tmp_path / "long.h5", quiet, quiet)
    with pytest.raises(Stop):
        begin(short, tmp_path / "stopped.h5", stop_at(2500), quiet)
    begin(short, tmp_path / "kept.h5", quiet, quiet, keep=True)
    for name in ("stopped.h5", "kept.h5"):
        assert resume(tmp_path / name, quiet, total_frames=6001)
        same_runs(tmp_path / name, tmp_path / "long.h5")
        with open_run(tmp_path / name) as run:
            assert run.config == long.stored()
        assert not resume_folder(tmp_path / name).exists()


def test_what_cannot_be_lengthened_says_why(tmp_path: Path, unbroken: Path) -> None:
    path = Path(shutil.copy(unbroken, tmp_path / "run.h5"))
    done = CliRunner().invoke(main, ["resume", str(path), "--total-frames", "9001"])
    assert done.exit_code == 1
    assert "its replay went with its resume state" in done.stderr
    assert "--keep-resume" in done.stderr
    done = CliRunner().invoke(main, ["resume", str(path), "--total-frames", "4001"])
    assert "is of 4,001 frames already: a later end is needed" in done.stderr
    assert "(--total-frames)" in done.stderr
