"""`vrlprobe stitch` and its figure, on a small real run over training."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.outcome import failed
from vrlprobe.results.file import load_result

CARTPOLE = Path(__file__).parents[2] / "fixtures/cartpole_balance.h5"


@pytest.fixture
def run(tmp_path):
    """The run, under a name without its folder."""
    (tmp_path / "pole.h5").symlink_to(CARTPOLE)
    return "pole.h5"


def test_a_run_over_training(call, run, tmp_path):
    done = call("stitch", f"{run}@0,16000", "--episodes", "0", "--adapter", "-o", "s.nc", "-j", "1")
    assert done.exit_code == 0, done.output
    assert "no sample set: the figures of pole.h5 are of its own rollouts" in done.stderr
    assert done.stderr.endswith("wrote s.nc\n")
    found = load_result(tmp_path / "s.nc")
    lines = done.stdout.splitlines()
    assert lines[0] == found.attrs["answer"]
    assert lines[2].split() == [
        "CNN",
        "MLP",
        "between",
        *("action", "std", "rank", "R²", "CNN", "R²", "MLP"),
    ]
    assert len(lines[3:11]) == 8
    row = lines[5].split()
    assert row[:3] == ["pole@0", "pole@16000", "none"]
    at = found.sel(cnn="pole@0", mlp="pole@16000", adapter="none")
    assert float(row[3]) == pytest.approx(at["action_spread"].item(), rel=0.05)
    assert float(row[6]) == pytest.approx(at["action_r2"].sel(part="mlp").item(), abs=0.006)
    drawn = call("plot", "stitch", "s.nc", "-o", "s.png", "--data", "again.nc")
    assert drawn.exit_code == 0, drawn.output
    assert load_result(tmp_path / "again.nc").identical(found)


def test_episodes_are_played_and_a_second_call_finds_them(call, run, tmp_path):
    asked = ("stitch", f"{run}@0,16000", "--episodes", "1", "-j", "1")
    done = call(*asked, "-o", "s.nc")
    assert done.exit_code == 0, done.output
    found = load_result(tmp_path / "s.nc")
    assert np.isfinite(found["episode_return"]).all()
    returned = found["mean_return"].sel(cnn="pole@16000", mlp="pole@0", bound="estimate").item()
    assert done.stdout.splitlines()[5].split()[2] == f"{returned:.0f}"
    assert "in brackets 95% intervals over episodes" in done.stdout
    assert call(*asked, "-o", "again.nc").exit_code == 0
    assert (tmp_path / "again.nc").read_bytes() == (tmp_path / "s.nc").read_bytes()


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["pole.h5", "-o", "s.nc"], 1, "needs two checkpoints or more"),
        (["pole.h5", "blank", "-o", "no/s.nc"], 1, "there is no folder no"),
        (["pole.h5", "blank", "-o", "pole.h5"], 1, "does not end in .h5"),
        (["pole.h5", "good", "-o", "s.nc"], 1, "there is no folder runs to draw donors from"),
        (["pole.h5@soon", "blank", "-o", "s.nc"], 1, "not 'soon'"),
        (["pole.h5", "blank"], 2, "Missing option '-o'"),
        (["pole.h5", "blank", "-o", "s.nc", "--no-cache", "--cache", "c"], 2, "--cache names"),
    ],
)
def test_mistakes(call, run, tmp_path, given, code, words):
    failed(call("stitch", *given), words, code=code)
    assert not (tmp_path / "s.nc").exists()


def test_the_figure_is_of_one_result_of_stitch(call, run):
    failed(call("plot", "stitch", run, "-o", "s.png"), "made by: vrlprobe stitch RUN[@FRAME]…")
    failed(call("plot", "stitch", "a.nc", "b.nc", "-o", "s.png"), "stitch them together", code=2)
