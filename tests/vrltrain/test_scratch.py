"""Runs written on another disk than the one where they belong."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vrltrain.tiny import OPTIONS, TINY, Stop, same_runs, stop_at
from vrlprobe.runs.reader import open_run
from vrltrain import scratch as module
from vrltrain.cli import main
from vrltrain.jobs import Job
from vrltrain.run import begin, create_writer
from vrltrain.sweep import standings
from vrltrain.train import Training, quiet
from vrltrain.work import work

pytestmark = pytest.mark.needs("egl")

SHORT = [*OPTIONS, "--total-frames", "2001", "--seed", "3"]


def call(*arguments: object):
    return CliRunner(catch_exceptions=False).invoke(main, [str(a) for a in arguments])


@pytest.fixture
def disks(tmp_path: Path) -> tuple[Path, Path]:
    """Where runs belong, and where they are written."""
    for name in ("home", "local"):
        (tmp_path / name).mkdir()
    return tmp_path / "home", tmp_path / "local"


def test_a_finished_run_is_brought_home(disks) -> None:
    home, local = disks
    done = call("run", *SHORT, "-o", home / "run.h5", "--scratch", local)
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in home.iterdir()) == ["run.h5", "run.json"]
    assert list(local.iterdir()) == []
    config = replace(TINY, total_frames=2001, seed=3)
    with open_run(home / "run.h5") as run:
        assert run.state == "sealed"
        assert int(run.frames[-1]) == config.evaluation_frames[-1]
    again = call("run", *SHORT, "-o", home / "run.h5", "--scratch", local)
    assert (again.exit_code, "exists: choose another name" in again.stderr) == (1, True)
    (home / "run.json").unlink()
    complete = call("resume", home / "run.h5", "--scratch", local)
    said = f"(was complete already; its record is {home / 'run.json'})\n"
    assert complete.stdout.endswith(said)
    assert (home / "run.json").is_file()


def test_a_run_that_was_stopped_goes_on_in_the_scratch_folder(disks, tmp_path) -> None:
    home, local = disks
    job = Job(replace(TINY, total_frames=2001), home / "run.h5", scratch=local)

    def interrupt(training) -> None:
        if training.checkpoints == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(job.config, job.place, interrupt, quiet)
    assert list(home.iterdir()) == []
    assert standings([job])[job.path].frame == 1000
    done = call("resume", home / "run.h5", "--scratch", local)
    assert done.exit_code == 0, done.output
    begin(job.config, tmp_path / "unbroken.h5", quiet, quiet)
    same_runs(home / "run.h5", tmp_path / "unbroken.h5")
    assert list(local.iterdir()) == []


def test_a_run_that_goes_on_at_home_is_still_there_when_it_is_stopped(disks, monkeypatch) -> None:
    home, local = disks
    path = home / "run.h5"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Stop):
        begin(replace(TINY, total_frames=2001), path, stop_at(1000), quiet)
    monkeypatch.setattr(Training, "evaluate", interrupt)
    stopped = call("resume", path, "--scratch", local)
    assert stopped.exit_code == 130
    hint = f"kept up to frame 0; continue with: vrltrain resume {path} --scratch {local}\n"
    assert stopped.stderr.endswith(hint)


def test_a_sweep_goes_on_with_what_was_stopped_at_home(disks, tmp_path) -> None:
    home, local = disks
    config = replace(TINY, total_frames=2001)
    job = Job(config, home / "run.h5", scratch=local)

    def interrupt(training) -> None:
        if training.checkpoints == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(config, job.path, interrupt, quiet)
    other = work(replace(job, config=replace(config, hidden_dim=17)), quiet)
    assert other.outcome == "failed"
    assert "is of other settings (hidden_dim 16, wanted 17)" in other.message
    assert work(job, quiet).outcome == "done"
    begin(config, tmp_path / "unbroken.h5", quiet, quiet)
    same_runs(job.path, tmp_path / "unbroken.h5")
    assert sorted(path.name for path in home.iterdir()) == ["run.h5", "run.json"]
    assert list(local.iterdir()) == []


def test_what_was_stopped_while_it_was_brought_home_is_brought_again(disks, monkeypatch) -> None:
    home, local = disks
    job = Job(replace(TINY, total_frames=1001), home / "run.h5", scratch=local)

    def stop(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module.shutil, "copyfile", stop)
    with pytest.raises(KeyboardInterrupt):
        work(job, quiet)
    assert list(home.iterdir()) == []
    monkeypatch.undo()
    (home / ".run.h5.0a1b2c3d.part").touch()  # as a kill leaves it
    assert work(job, quiet).outcome == "done"
    assert sorted(item.name for item in home.iterdir()) == ["run.h5", "run.json"]
    assert list(local.iterdir()) == []
    assert work(job, quiet).outcome == "done before"


def test_another_run_at_home_is_not_replaced(disks) -> None:
    home, local = disks
    assert call("run", *SHORT, "-o", home / "run.h5").exit_code == 0
    kept = (home / "run.h5").read_bytes()
    assert call("run", *SHORT, "--seed", "4", "-o", local / "run.h5").exit_code == 0
    resumed = call("resume", home / "run.h5", "--scratch", local)
    assert resumed.exit_code == 1
    assert "are two runs of one name: rename one" in resumed.stderr
    assert (home / "run.h5").read_bytes() == kept
    assert (local / "run.h5").exists()


def test_what_cannot_be_brought_home_is_told_before_the_training_or_kept(disks) -> None:
    home, local = disks
    (home / "notes.json").write_text('{"my": "notes"}')
    notes = call("run", *SHORT, "-o", home / "notes.h5", "--scratch", local)
    assert (notes.exit_code, "notes.json is where the run's record goes" in notes.stderr) == (
        1,
        True,
    )
    assert (home / "notes.json").read_text() == '{"my": "notes"}'
    assert list(local.iterdir()) == []
    made = call("run", *SHORT, "-o", home / "new" / "run.h5", "--scratch", local)
    assert made.exit_code == 0, made.output

    def block(training) -> None:
        (home / "late.h5").write_text("no run")

    config = replace(TINY, total_frames=1001)
    begin(config, local / "late.h5", block, quiet)
    late = call("resume", home / "late.h5", "--scratch", local)
    assert late.exit_code == 1
    assert (local / "late.h5").exists()
    (home / "late.h5").unlink()
    assert call("resume", home / "late.h5", "--scratch", local).exit_code == 0
    with open_run(home / "late.h5") as run:
        assert run.frames.tolist() == [0, 1000]


@pytest.mark.parametrize("spelling", ["relative", "dotted", "linked"])
def test_the_runs_own_folder_is_no_scratch_folder(spelling, disks, monkeypatch) -> None:
    home, _ = disks
    monkeypatch.chdir(home.parent)
    (home.parent / "link").symlink_to(home)
    scratch = {"relative": "home", "dotted": home / ".." / "home", "linked": "link"}[spelling]
    done = call("run", *SHORT, "-o", home / "run.h5", "--scratch", scratch)
    assert done.exit_code == 0, done.output
    kept = (home / "run.h5").read_bytes()
    again = call("resume", home / "run.h5", "--scratch", scratch)
    assert "(was complete already; its record is " in again.stdout
    assert (home / "run.h5").read_bytes() == kept
    assert sorted(path.name for path in home.iterdir()) == ["run.h5", "run.json"]


def test_two_names_of_one_file_are_told_apart_before_it_is_removed(disks) -> None:
    home, local = disks
    assert call("run", *SHORT, "-o", home / "run.h5").exit_code == 0
    (local / "run.h5").hardlink_to(home / "run.h5")
    resumed = call("resume", home / "run.h5", "--scratch", local)
    assert (resumed.exit_code, "are one file" in resumed.stderr) == (1, True)
    assert (home / "run.h5").exists()


def test_a_run_at_home_without_a_checkpoint_is_none(disks) -> None:
    home, local = disks
    job = Job(replace(TINY, total_frames=1001), home / "run.h5", scratch=local)
    with closing(Training(job.config, local / "replay.bin")) as training:
        create_writer(job.path, training).close()
    (local / "replay.bin").unlink()
    assert work(job, quiet).outcome == "done"
    with open_run(job.path) as run:
        assert run.frames.tolist() == [0, 1000]


def test_mistakes(disks) -> None:
    home, local = disks
    gone = call("run", *SHORT, "-o", home / "run.h5", "--scratch", local / "no")
    assert (gone.exit_code, "there is no folder" in gone.stderr) == (1, True)
    lost = call("resume", home / "run.h5", "--scratch", local)
    assert lost.exit_code == 1
    assert f"there is no run {local}/run.h5 and none {home}/run.h5" in lost.stderr
    alone = call("resume", home / "run.h5")
    assert (alone.exit_code, alone.stderr) == (1, f"main: {home}/run.h5: no such file\n")
