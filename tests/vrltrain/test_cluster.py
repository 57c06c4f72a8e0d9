"""Sweeps on a real Dask cluster of this machine's processes."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import LocalCluster

from tests.vrltrain.tiny import OPTIONS, TINY, same_runs
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.reader import open_run
from vrltrain.cli import main
from vrltrain.cluster import sweep_on_cluster
from vrltrain.jobs import Job, jobs_of
from vrltrain.run import begin
from vrltrain.train import quiet


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


def test_its_workers_take_the_jobs_and_a_failed_one_stops_nothing(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the workers' own folder is another
    config = replace(TINY, total_frames=2001)
    jobs = jobs_of(config, [1, 2], Path("runs"))
    Path("runs").mkdir()
    Path("runs/no-run.h5").write_text("no run")
    jobs.append(Job(config, Path("runs/no-run.h5")))
    results = {
        str(found.job.path): found for found in sweep_on_cluster(jobs, cluster.scheduler_address)
    }
    assert results["runs/seed1.h5"].outcome == results["runs/seed2.h5"].outcome == "done"
    assert results["runs/no-run.h5"].outcome == "failed"
    assert "not an HDF5 file" in results["runs/no-run.h5"].message
    begin(replace(config, seed=2), tmp_path / "alone.h5", quiet, quiet)
    same_runs(tmp_path / "runs/seed2.h5", tmp_path / "alone.h5")


def test_a_stopped_sweep_stops_its_trainings(cluster: LocalCluster, tmp_path: Path) -> None:
    jobs = jobs_of(replace(TINY, total_frames=200_001), [1, 2], tmp_path)
    short = Job(replace(TINY, total_frames=1001, seed=3), tmp_path / "short.h5")
    results = sweep_on_cluster([short, *jobs], cluster.scheduler_address)
    assert next(results).job == short
    results.close()
    limit = time.monotonic() + 60
    while _growing(jobs) and time.monotonic() < limit:
        time.sleep(0.2)
    assert not _growing(jobs)
    time.sleep(0.5)  # after its run's file, a training that broke leaves its traceback
    assert not list(tmp_path.glob("*.error.txt"))


def _growing(jobs: list[Job]) -> list[Path]:
    found = []
    for path in (job.path for job in jobs if job.path.exists()):
        with open_run(path) as run:
            found += [path] * (run.state == "growing")
    return found


def test_a_worker_of_many_threads_is_refused(tmp_path: Path) -> None:
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with LocalCluster(**options, dashboard_address=":0") as cluster:
        results = sweep_on_cluster(jobs_of(TINY, [1], tmp_path), cluster.scheduler_address)
        with pytest.raises(VrlprobeError, match=r"takes 2 tasks at once.*--nthreads 1"):
            next(results)


def test_an_address_without_a_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vrltrain.cluster.CONNECT_SECONDS", 1)
    for address in ("tcp://127.0.0.1:9", "nowhere"):
        with pytest.raises(VrlprobeError, match=f"no Dask scheduler answers at {address}"):
            next(sweep_on_cluster(jobs_of(TINY, [1], tmp_path), address))


def test_workers_are_counted_here_or_there(tmp_path: Path) -> None:
    options = ["--seeds", "1", "-o", str(tmp_path), "-j", "2", "--scheduler", "tcp://127.0.0.1:9"]
    result = CliRunner().invoke(main, ["sweep", *OPTIONS, *options])
    assert result.exit_code == 2
    assert "not with --scheduler" in result.output
