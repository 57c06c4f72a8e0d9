"""`vrlprobe intervene` and its figures, on a small real run."""

from pathlib import Path

import pytest

from tests.cli.outcome import failed
from vrlprobe.results.file import load_result

CARTPOLE = Path(__file__).parents[2] / "fixtures/cartpole_balance.h5"


@pytest.fixture
def run(tmp_path):
    """The run, under a name without its folder."""
    (tmp_path / "pole.h5").symlink_to(CARTPOLE)
    return "pole.h5"


def test_ablate(call, run, tmp_path):
    asked = ("--layer", "mlp1", "--component", "position[0]", "--episodes", "0", "--draws", "1")
    done = call("intervene", "ablate", run, *asked, "-j", "1", "-o", "a.nc")
    assert done.exit_code == 0, done.output
    found = load_result(tmp_path / "a.nc")
    lines = done.stdout.splitlines()
    assert lines[0] == found.attrs["answer"]
    assert lines[2].split() == ["condition", "removed", "R²", "actions"]
    names = [line.split()[0] for line in lines[3:8]]
    assert names == ["intact", "probe", "random", "shuffled", "units"]
    r2 = found["test_r2"].sel(condition="probe", draw=0).item()
    assert float(lines[4].split()[2]) == pytest.approx(r2, abs=0.006)
    assert found["test_r2"].sel(condition="intact", draw=0).item() > r2 + 0.2
    drawn = call("plot", "ablate", "a.nc", "-o", "a.png", "--data", "again.nc")
    assert drawn.exit_code == 0, drawn.output
    assert load_result(tmp_path / "again.nc").identical(found)


def test_patch(call, run, tmp_path):
    done = call("intervene", "patch", run, "--from", f"{run}@0", "--samples", run, "-n", "60")
    assert done.exit_code == 0, done.output
    found = load_result(tmp_path / "pole.patch.nc")
    lines = done.stdout.splitlines()
    assert lines[0] == found.attrs["answer"]
    assert lines[2].split()[:4] == ["run", "from", "none", "cnn1"]
    assert lines[3].split()[:2] == ["pole", "pole@0"]
    value = found["action_spread"].sel(layer="mlp2").item()
    assert float(lines[3].split()[-1]) == pytest.approx(value, rel=0.06)
    drawn = call("plot", "patch", "pole.patch.nc", "-o", "p.png")
    assert drawn.exit_code == 0, drawn.output


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["ablate", "pole.h5", "--layer", "mlp1"], 2, "Missing option '--component'"),
        (["ablate", "pole.h5", "--layer", "mlp9", "--component", "reward"], 1, "no component"),
        (["patch", "pole.h5"], 2, "Missing option '--from'"),
        (["patch", "pole.h5", "--from", "no.h5"], 1, "no.h5: no such file"),
        (["patch", "pole.h5", "--from", "good"], 1, "there is no folder runs"),
        (["patch", "pole.h5", "--from", "pole.h5@0", "--frame", "0,8000"], 2, "one frame"),
    ],
)
def test_mistakes(call, run, given, code, words):
    failed(call("intervene", *given), words, code=code)


def test_the_figures_are_of_one_result(call, run):
    failed(call("plot", "ablate", run, "-o", "a.png"), "made by: vrlprobe intervene ablate")
    failed(call("plot", "patch", "a.nc", "b.nc", "-o", "p.png"), "patch the runs", code=2)
