"""`vrlprobe cohort` as a person types it."""

import pytest

from tests.analyses.logs import ESCAPES, FRAMES, STUCK, WINDOW, log_of
from tests.cli.outcome import failed
from vrlprobe.results.file import load_result
from vrlprobe.runs.record import read_record

CONFIG = {**WINDOW, "good_return": 30, "bad_return": 10, "total_frames": FRAMES[-1] + 1}


@pytest.fixture
def runs(make_run):
    for name, reward, spread in (("a", 1.0, ESCAPES), ("b", 0.5, ESCAPES), ("c", 0.1, STUCK)):
        seed = ord(name)
        kinds = {"reward": reward, "seed": seed, "log": log_of(spread), "config": CONFIG}
        make_run(f"{name}.h5", frames=FRAMES, episodes=3, **kinds)
    return ["a.h5", "b.h5", "c.h5"]


def test_classes_verdicts_and_aggregates(call, runs, tmp_path) -> None:
    result = call("cohort", *runs, "-o", "cohort.nc")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["a", "walker_walk", "97", "40", "good", "escaped", "5,000", "1"]
    assert lines[3].split()[3:7] == ["4", "bad", "stuck", "1,000"]
    assert (
        "3 runs: 1 good, 1 middle, 1 bad; 0 healthy, 2 escaped, 1 stuck, 0 undecided; "
        "1 in collapse at the end"
    ) in lines
    saved = load_result(tmp_path / "cohort.nc")
    assert saved["final"].sel(statistic="mean", bound="estimate").item() == pytest.approx(64 / 3)
    assert saved["class"].values.tolist() == ["good", "middle", "bad"]


def test_a_run_and_its_record_are_one(call, runs, tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    call("cohort", "a.h5", "--record", "kept")
    (record,) = (tmp_path / "kept").iterdir()
    failed(call("cohort", *runs, record), "a.h5", record.name, "are one run: give it once")


def test_a_run_that_is_not_finished_is_named(call, runs, make_run) -> None:
    config = {**CONFIG, "eval_every_frames": 1000}
    make_run("young.h5", frames=FRAMES[:4], seed=5, config=config, log=log_of([0.5] * 4))
    found = call("cohort", *runs, "young.h5")
    assert "not finished" in found.stdout.splitlines()[4]
    assert "the last checkpoint that there is: young" in found.stderr
    assert found.stdout.count("not finished") == 1


def test_thresholds_override_the_profiles(call, runs) -> None:
    result = call("cohort", *runs, "--good", 15, "--bad", 1)
    assert "3 runs: 2 good, 1 middle, 0 bad" in result.stdout
    failed(call("cohort", *runs, "--good", 5), "bad returns end at 10")
    failed(call("cohort", *runs, "--good", "inf"), "good must be a finite number, not inf")
    failed(call("cohort", *runs, "--bad", "nan"), "bad must be a finite number, not nan")


def test_records_stand_in_for_runs_that_are_gone(call, runs, tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    before = call("cohort", *runs, "--record", "kept").stdout
    records = sorted((tmp_path / "kept").iterdir())
    assert [path.name.rsplit("-", 1)[0] for path in records] == [
        f"walker_walk-test-seed{seed}" for seed in (97, 98, 99)
    ]
    for path in runs:
        (tmp_path / path).unlink()
    after = call("cohort", *records).stdout
    assert after.splitlines()[-5:] == before.splitlines()[-5:]
    assert call("collapse", *records).exit_code == 0


def test_records_hold_final_metrics_and_probes(call, runs, tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    options = ("--record", "kept", "--samples", "b.h5", "--samples", "c.h5", "--samples", "a.h5")
    assert call("cohort", "a.h5", *options).exit_code == 0
    (path,) = (tmp_path / "kept").iterdir()
    sections = read_record(path).sections
    assert len(sections["metrics"]["numerical_rank"]) == len(sections["metrics"]["layer"]) == 3
    assert len(sections["probe"]["test_r2"]) == len(sections["probe"]["layer"]) == 8
    assert path.stat().st_size < 100_000
    again = call("cohort", str(path), "--record", "kept")
    assert "1 of the inputs are records already: left alone" in again.stderr


def test_errors_are_one_line(call, runs, make_run) -> None:
    failed(call("cohort", "a.h5", "--record", "nowhere"), "no folder nowhere")
    failed(call("cohort", "a.h5", "--samples", "b.h5"), "--record", code=2)
    make_run("bare.h5", frames=(0, 1000, 2000), config={**WINDOW, "good_return": None})
    failed(call("cohort", "bare.h5"), "--good, --bad")
