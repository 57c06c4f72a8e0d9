"""Sweeps of tiny runs: skipped, continued, interrupted and killed, here and on a Dask cluster."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vrltrain.tiny import OPTIONS, TINY, same_runs
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.reader import open_run
from vrltrain.cli import main
from vrltrain.jobs import Job, is_done, jobs_of, recorded
from vrltrain.paths import record_path
from vrltrain.run import begin
from vrltrain.sweep import standings, sweep
from vrltrain.train import quiet
from vrltrain.work import work

COMMAND = [sys.executable, "-m", "vrltrain.cli", "sweep", "-o", "runs", *OPTIONS]
SHORT = ("--total-frames", "1001")
LIMIT = 240


def call(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """A folder in which `runs` is what a sweep of seed 1 left, two checkpoints long."""
    folder = tmp_path_factory.mktemp("swept")
    swept = call(folder, "--seeds", "1", *SHORT)
    assert swept.returncode == 0
    assert swept.stdout.startswith("runs/seed1.h5: 1,000 frames, return")
    return folder


@pytest.fixture
def folder(swept: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(swept, tmp_path / "sweep")


def test_done_runs_are_skipped_and_a_failed_one_stops_nothing(folder: Path) -> None:
    (folder / "runs/seed2.h5").write_text("no run")
    first = call(folder, "--seeds", "1-3", "-j", "2", *SHORT)
    assert first.returncode == 1
    done, failed, trained = sorted(first.stdout.splitlines())
    assert done.startswith("runs/seed1.h5: 1,000 frames, return")
    assert done.endswith(" (was complete already)")
    assert failed == "runs/seed2.h5: failed: not an HDF5 file, so not a run"
    assert trained.startswith("runs/seed3.h5: 1,000 frames, return")
    assert "Traceback" not in first.stderr
    (folder / "runs/seed2.h5").unlink()
    second = call(folder, "--seeds", "1-3", "-j", "2", *SHORT)
    assert second.returncode == 0
    assert second.stdout.count("was complete already") == 2


def test_a_sweep_of_done_runs_starts_no_process(folder: Path, monkeypatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("vrltrain.sweep.start_child", refuse)
    monkeypatch.chdir(folder)
    Path("runs/seed1.h5").unlink()  # its record stands for it
    asked = CliRunner().invoke(main, [*COMMAND[3:], "--seeds", "1", *SHORT])
    assert asked.stdout == "runs/seed1.h5: only its record is left (was complete already)\n"
    other = CliRunner().invoke(main, [*COMMAND[3:], "--seeds", "1", "--total-frames", "2001"])
    assert other.exit_code == 1
    assert "is of other settings (total_frames 1001, wanted 2001)" in other.stdout


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    config = replace(TINY, total_frames=1001)
    job = Job(config, tmp_path / "seed0.h5")
    assert work(job, quiet).outcome == "done"
    assert is_done(job)
    other = Job(replace(config, hidden_dim=17), job.path)
    with pytest.raises(VrlprobeError, match="hidden_dim 16, wanted 17"):
        is_done(other)
    assert work(other, quiet).outcome == "failed"


def test_an_unexpected_error_leaves_its_traceback_until_the_run_is_done(tmp_path: Path) -> None:
    job = Job(replace(TINY, total_frames=1001), tmp_path / "seed0.h5")

    def break_down(training: object) -> None:
        raise RuntimeError("no such luck\n" + "more " * 10_000)

    broken = work(job, break_down)
    trace = tmp_path / "seed0.error.txt"
    assert broken.outcome == "failed"
    assert broken.message == f"RuntimeError: no such luck (traceback: {trace})"
    assert "in break_down" in trace.read_text()
    assert work(job, quiet).outcome == "done"
    assert not trace.exists()


def test_a_damaged_file_beside_its_record_stops_nothing(folder: Path) -> None:
    (folder / "runs/seed1.h5").write_text("no run")
    again = call(folder, "--seeds", "1,2", "-j", "1", *SHORT)
    first, second = again.stdout.splitlines()
    assert first.startswith("runs/seed1.h5: its record is left, but the file is damaged: ")
    assert second.startswith("runs/seed2.h5: 1,000 frames, return")


def test_what_a_record_elsewhere_shows_as_done_is_skipped(folder: Path) -> None:
    kept = folder / "kept"
    kept.mkdir()
    (folder / "runs/seed1.json").rename(kept / "another-name.json")
    (folder / "runs/seed1.h5").unlink()
    again = call(folder, "--seeds", "1,2", "--records", "kept", *SHORT)
    assert again.returncode == 0
    first, second = again.stdout.splitlines()
    assert first == "runs/seed1.h5: done before, see kept/another-name.json"
    assert second.startswith("runs/seed2.h5: 1,000 frames, return")
    wider = jobs_of(replace(TINY, total_frames=1001, hidden_dim=17), [1], folder)
    assert not recorded(wider, kept)
    (kept / "no-record.json").write_text("{}")
    broken = call(folder, "--seeds", "1,2", "--records", "kept", *SHORT)
    assert broken.returncode == 1
    assert "no-record.json is not the record of a run" in broken.stderr


def _started(tmp_path: Path) -> "subprocess.Popen[str]":
    """A sweep of two seeds, one of which has committed a checkpoint after the first."""
    running = subprocess.Popen(
        [*COMMAND, "--seeds", "1,2", "-j", "2", "--total-frames", "4001"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    limit = time.monotonic() + LIMIT
    while time.monotonic() < limit:
        if max(_frame(tmp_path / f"runs/seed{seed}.h5") for seed in (1, 2)) >= 1000:
            return running
        time.sleep(0.2)
    os.killpg(running.pid, signal.SIGKILL)
    raise AssertionError("the sweep did not start")


def _frame(path: Path) -> int:
    try:
        with open_run(path) as run:
            return int(run.frames[-1]) if len(run.frames) else -1
    except VrlprobeError:
        return -1


def _group(pid: int) -> list[int]:
    """Processes of a session that still run."""
    listed = subprocess.run(
        ["ps", "-s", str(pid), "-o", "pid=,stat="], capture_output=True, text=True, check=False
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(number) for number, state in rows if not state.startswith("Z")]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_was_stopped_goes_on_with_the_same_command(
    how: signal.Signals, tmp_path: Path
) -> None:
    running = _started(tmp_path)
    if how == signal.SIGINT:
        os.killpg(running.pid, how)  # as a terminal's Ctrl-C does
    else:
        running.send_signal(how)
    _, stderr = running.communicate(timeout=60)
    if how != signal.SIGKILL:
        assert running.returncode == 130
        assert not list(tmp_path.glob("runs/*.lock"))
        assert stderr.splitlines()[-1] == "stopped; the same command goes on where it stopped"
    limit = time.monotonic() + 60
    while _group(running.pid) and time.monotonic() < limit:
        time.sleep(0.2)
    assert not _group(running.pid)
    again = call(tmp_path, "--seeds", "1,2", "-j", "2", "--total-frames", "4001")
    assert again.returncode == 0, again.stdout + again.stderr
    for path in (tmp_path / f"runs/seed{seed}.h5" for seed in (1, 2)):
        with open_run(path) as run:
            assert run.state == "sealed"
            assert run.frames.tolist() == [0, 1000, 2000, 3000, 4000]
        assert record_path(path).exists()


def test_a_sweep_that_is_stopped_while_its_children_begin_says_one_line(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "--seeds", "1,2", "-j", "2"], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while len(_group(running.pid)) < 3 and running.poll() is None:  # its own and two
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert stderr.splitlines() == ["stopped; the same command goes on where it stopped"]


def test_another_programs_run_has_a_standing(make_run, tmp_path: Path) -> None:
    (job,) = jobs_of(TINY, [1], tmp_path)
    make_run(job.path.name, frames=(0, 1000))
    standing = standings([job])[job.path]
    assert (standing.frame, standing.returned, standing.attempt) == (1000, 40, 1)


def test_a_child_that_is_killed_fails_its_own_job_only(tmp_path: Path) -> None:
    running = _started(tmp_path)
    try:
        first, _ = _children(running.pid)
        os.kill(first, signal.SIGKILL)
        stdout, stderr = running.communicate(timeout=LIMIT)
    finally:
        running.kill()
    assert running.returncode == 1
    assert "Traceback" not in stderr
    failed, done = sorted(stdout.splitlines(), key=lambda line: "failed" not in line)
    assert "failed: its process was killed by signal 9: for want of memory, perhaps" in failed
    assert "4,000 frames, return" in done
    again = call(tmp_path, "--seeds", "1,2", "--total-frames", "4001")
    assert again.returncode == 0, again.stdout + again.stderr


def _children(pid: int) -> list[int]:
    """The processes that train, in no order."""
    listed = subprocess.run(
        ["ps", "-ww", "--ppid", str(pid), "-o", "pid=,args="],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    return [int(number) for number, command in rows if "vrltrain.children" in command]


def test_a_run_of_a_sweep_is_that_of_vrltrain_run(tmp_path: Path) -> None:
    config = replace(TINY, total_frames=2001)
    (job,) = jobs_of(config, [5], tmp_path)
    (result,) = sweep([job], 1)
    assert result.outcome == "done"
    begin(replace(config, seed=5), tmp_path / "alone.h5", quiet, quiet)
    same_runs(job.path, tmp_path / "alone.h5")
