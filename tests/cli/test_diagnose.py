"""`vrlprobe diagnose` on a small real run, and its place in the report."""

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


def test_a_run_with_its_critic_and_the_report(call, run, tmp_path):
    asked = ("diagnose", run, "--against", f"{run}@8000", "--samples", run, "-n", "60")
    done = call(*asked, "-o", "d.nc")
    assert done.exit_code == 0, done.output
    found = load_result(tmp_path / "d.nc")
    lines = done.stdout.splitlines()
    assert lines[0] == "pole"
    assert lines[1] == found["text"].item().splitlines()[0]
    assert lines[1].startswith("state  ")
    assert "reference minus run" in done.stdout
    assert found["q_spread"].notnull().all()
    assert found["critic_rank"].notnull().all()
    assert found["weight_norm"].sel(agent="pole").notnull().all()
    done = call("report", run, "--diagnosis", "d.nc", "-o", "r.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "r.html").read_text()
    assert page.index(">Diagnosis</h2>") < page.index(">Cohort</h2>")
    assert lines[1].split(maxsplit=1)[1].split(" (")[0] in page


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["pole.h5", "--against", "no.h5"], 1, "no.h5: no such file"),
        (["pole.h5", "--frame", "0,8000"], 2, "one frame"),
        (["pole.h5", "--frame", "7"], 1, "no checkpoint at frame 7"),
    ],
)
def test_mistakes(call, run, given, code, words):
    failed(call("diagnose", *given), words, code=code)


def test_the_report_takes_a_diagnosis(call, run):
    failed(
        call("report", run, "--diagnosis", run, "-o", "r.html"), "made by: vrlprobe diagnose RUN"
    )
