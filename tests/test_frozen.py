"""Files that earlier revisions wrote still open, and what they left half finished still ends.

Each folder of `frozen/` is of one revision: a small run, its record, one that was stopped with its
resume state, a sample set, and results.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from vrlprobe.analyses import probe
from vrlprobe.results.file import load_result
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import read_record
from vrlprobe.runs.verify import verify_run
from vrlprobe.samples.file import load_samples
from vrltrain.run import resume
from vrltrain.train import quiet

REVISIONS = sorted((Path(__file__).parent / "frozen").iterdir())


@pytest.fixture(params=REVISIONS, ids=lambda folder: folder.name)
def frozen(request) -> Path:
    return request.param


def test_runs_are_whole(frozen: Path) -> None:
    for name in ("run.h5", "half.h5"):
        assert verify_run(frozen / name).problems == ()
    with open_run(frozen / "run.h5") as run:
        assert run.frames.tolist() == [0, 1000, 2000, 3000]
        episode = run.rollout(3000)[0]
        actions = run.agent(3000).act(episode.observations(run.layout.frame_stack))
        np.testing.assert_allclose(actions[:-1], episode.actions, atol=1e-5)


def test_records_are_of_their_runs(frozen: Path) -> None:
    record = read_record(frozen / "run.json")
    with open_run(frozen / "run.h5") as run:
        assert record.checkpoint == run.digest(3000)
        assert record.config == dict(run.config)


def test_a_half_finished_run_goes_on(frozen: Path, tmp_path: Path) -> None:
    shutil.copy(frozen / "half.h5", tmp_path)
    shutil.copytree(frozen / "half.resume", tmp_path / "half.resume")
    assert resume(tmp_path / "half.h5", quiet)
    with open_run(tmp_path / "half.h5") as run, open_run(frozen / "half.h5") as before:
        assert before.frames.tolist() == [0, 1000]
        assert run.frames.tolist() == [0, 1000, 2000, 3000]
        assert run.digest(1000) == before.digest(1000)
        assert np.isfinite(run.log["critic_loss"].values[-1])


def test_samples_probe_as_they_did(frozen: Path) -> None:
    samples = load_samples(frozen / "samples.h5")
    kept = load_result(frozen / "result.probe.nc")
    with open_run(frozen / "run.h5") as run:
        found = probe(run, samples=samples, max_atoms=3, layers=["cnn4", "mlp1"], keep_own=True)
    np.testing.assert_array_equal(found["sparsity"], kept["sparsity"])
    np.testing.assert_allclose(found["test_mse"], kept["test_mse"], rtol=1e-4, equal_nan=True)


def test_metrics_open(frozen: Path) -> None:
    assert "numerical_rank" in load_result(frozen / "result.metrics.nc")
