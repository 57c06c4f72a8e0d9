"""`vrlprobe contrast` as a person types it, on the study's runs."""

import json
from pathlib import Path

import pytest

from tests.cli.outcome import failed
from vrlprobe.results.file import load_result

STUDY = Path(__file__).parent.parent.parent / "docs" / "study"
PROBE = STUDY / "results" / "desk.probe.nc"


@pytest.fixture
def verdicts(call):
    call("cohort", *sorted((STUDY / "desk").glob("*.json")), "-o", "desk.cohort.nc")
    return ("--by", "verdict", "--cohort", "desk.cohort.nc", "--frame", "30000")


def test_a_table_a_component(call, verdicts, tmp_path) -> None:
    done = call("contrast", PROBE, *verdicts, "--plan", "0.1", "-o", "found.nc")
    assert done.exit_code == 0, done.output
    head, mean, *others, words, plan = done.stdout.rstrip().split("\n\n")
    assert head == "20 runs at frame 30,000: 4 healthy, 8 escaped, 8 stuck"
    assert mean.startswith("log test error, mean over 25 components\nlayer  gap")
    row = next(line for line in mean.splitlines() if line.startswith("mlp1")).split()
    assert row[1:6] == ["+0.09", "(+0.02", "to", "+0.14)", "0.0064,"]
    assert "cnn0" not in mean
    assert [part.split("\n")[0] for part in others] == [
        f"log test error, {name}" for name in ("torso_velocity", "orientations[0]", "height")
    ]
    assert words.startswith("gap: stuck minus healthy or escaped; contrast: that minus the gap at")
    assert "contrast of 0.1, 80% power" in plan
    found = load_result(tmp_path / "found.nc")
    assert found.attrs["vrlprobe"] == "contrast"
    drawn = call("plot", "contrast", "found.nc", "-o", "found.pdf", "--components", "mean,height")
    assert drawn.exit_code == 0, drawn.output


def test_json_has_a_record_for_each_test(call) -> None:
    done = call("contrast", PROBE, "--json", "--components", "height", "--reference", "cnn3")
    found = json.loads(done.stdout)
    assert (found["base"], found["other"], found["reference"]) == ("good", "bad", "cnn3")
    assert found["groups"] == {"good": 8, "middle": 10, "bad": 2}
    assert len(found["records"]) == 2 * (7 + 6 + 7)
    cell = next(one for one in found["records"] if one["measure"] == "gap")
    assert cell["layer"] == "cnn1"
    assert cell["low"] is None  # of two bad runs
    assert 0 < cell["p"] <= cell["p_holm"] <= 1


def test_mistakes_are_one_line(call, verdicts) -> None:
    failed(call("contrast", PROBE, "--by", "verdict"), "--by verdict needs --cohort", code=2)
    failed(call("contrast", PROBE, *verdicts[2:]), "give --by verdict, too", code=2)
    failed(call("contrast", "desk.cohort.nc"), "is a result of cohort, one of probe is needed")
    failed(call("contrast", PROBE, "--frame", "5"), "no frame 5 in this result")
    finger = STUDY / "results" / "finger.probe.nc"
    failed(
        call("contrast", finger), "2 runs that are good and 2 that are bad, found: 2 good, 4 mid"
    )
    failed(call("plot", "contrast", PROBE, "-o", "x.png"), "vrlprobe contrast PROBE.nc -o")
