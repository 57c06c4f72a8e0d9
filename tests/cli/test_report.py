"""`vrlprobe report`, as a person types it."""

import json
import re

import pytest

from tests.cli.outcome import failed
from tests.figures.test_metrics import measured
from vrlprobe.cli.main import main
from vrlprobe.results.file import load_result, save_result


@pytest.fixture
def runs(make_run):
    config = {"rule_window": 1000}
    for seed in (1, 2, 3):
        make_run(f"seed{seed}.h5", seed=seed, frames=(0, 1000), config=config)
    return ["seed1.h5", "seed2.h5"]


@pytest.fixture
def probed(call, runs):
    """The first run's probe result beside it."""
    options = ("--samples", "seed2.h5", "--samples", "seed3.h5", "--layers", "mlp0,mlp2")
    done = call("probe", "seed1.h5", *options, "--max-atoms", 3, "--jobs", 1, "--frames", "all")
    assert done.exit_code == 0
    return "seed1.probe.nc"


def data_of(path):
    (text,) = re.findall(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(text)


def test_the_result_beside_a_run_is_shown(call, probed, tmp_path) -> None:
    result = call("report", "seed1.h5", "seed2.h5", "-o", "report.html")
    assert result.exit_code == 0, result.output
    assert "1 of 2 runs without a probe result" in result.stderr
    assert "wrote report.html" in result.stderr
    first, second = data_of(tmp_path / "report.html")["runs"]
    assert second["heat"] is None
    stored = load_result(tmp_path / probed)
    expected = stored["test_r2"].isel(run=0).sel(frame=1000, component="height").values
    assert first["heat"]["r2"][1][0] == pytest.approx(expected.tolist(), abs=0.0051)


def test_a_result_that_is_named(call, probed, tmp_path) -> None:
    (tmp_path / probed).rename(tmp_path / "other.nc")
    plain = call("report", "seed1.h5", "-o", "a.html")
    assert "1 of 1 runs without a probe result" in plain.stderr
    assert call("report", "seed1.h5", "-o", "b.html", "--probe", "other.nc").exit_code == 0
    assert data_of(tmp_path / "b.html")["runs"][0]["heat"]
    failed(call("report", "seed2.h5", "-o", "c.html", "--probe", "other.nc"), "but seed1")


def test_a_result_of_another_training_is_not_shown(call, probed, make_run, tmp_path) -> None:
    make_run("seed1.h5", seed=9, frames=(0, 1000), config={"rule_window": 1000})
    result = call("report", "seed1.h5", "-o", "a.html")
    assert "has another seed1" in result.stderr
    assert data_of(tmp_path / "a.html")["runs"][0]["heat"] is None
    failed(call("report", "seed1.h5", "-o", "a.html", "--probe", probed), "make it again")


def test_runs_of_one_name_have_each_its_own_result(call, make_run, tmp_path) -> None:
    rewards = {"a": 1.0, "b": 0.5}
    for folder, reward in rewards.items():
        (tmp_path / folder).mkdir()
        kinds = {"seed": len(folder) + int(2 * reward), "reward": reward}
        make_run(f"{folder}/seed1.h5", frames=(0, 1000), config={"rule_window": 1000}, **kinds)
        made = call(
            "probe", f"{folder}/seed1.h5", "--samples", f"{folder}/seed1.h5", "--keep-own",
            "--layers", "cnn4", "--components", "height", "-o", f"{folder}/seed1.probe.nc",
            "--frames", "all",
        )  # fmt: skip
        assert made.exit_code == 0, made.output
    named = ["--probe", "b/seed1.probe.nc", "--probe", "a/seed1.probe.nc"]
    runs = ["a/seed1.h5", "b/seed1.h5"]
    beside = call("report", *runs, "-o", "beside.html")
    assert "warning" not in beside.stderr
    shown = [run["heat"] for run in data_of(tmp_path / "beside.html")["runs"]]
    for folder, heat in zip(rewards, shown, strict=True):
        stored = load_result(tmp_path / folder / "seed1.probe.nc")["test_r2"]
        expected = stored.isel(run=0).sel(frame=1000, component="height").values
        assert heat["r2"][1][0] == pytest.approx(expected.tolist(), abs=0.0051)
    swapped = call("report", *runs, "-o", "named.html", *named)
    assert "different samples" in swapped.stderr  # made on different samples: refused as before


def test_the_record_of_a_run_has_its_curves(call, runs, tmp_path) -> None:
    (tmp_path / "records").mkdir()
    assert call("cohort", "seed1.h5", "--record", "records").exit_code == 0
    (record,) = (tmp_path / "records").iterdir()
    result = call("report", record, "-o", "a.html")
    assert result.exit_code == 0, result.output
    assert "without a probe result" not in result.stderr
    assert "its record is left" in (tmp_path / "a.html").read_text()
    (run,) = data_of(tmp_path / "a.html")["runs"]
    assert run["charts"][0] == {"": [40.0, 40.0]}


def test_what_cannot_be_done(call, runs, make_run, tmp_path) -> None:
    failed(call("report", *runs, "-o", "a.pdf"), "must end in .html")
    failed(call("report", *runs, "-o", "no/a.html"), "there is no folder no")
    failed(call("report", "none.h5", "-o", "a.html"), "none.h5: no such file")
    save_result(measured().assign_attrs(vrlprobe="metrics"), tmp_path / "m.nc")
    failed(call("report", *runs, "-o", "a.html", "--probe", "m.nc"), "result of metrics")
    make_run("bare.h5", frames=(0, 1000))
    failed(call("report", "bare.h5", "-o", "a.html"), "bare.h5", "--window")
    assert call("report", *runs).exit_code == 2


def test_the_group_alone_shows_its_commands(call) -> None:
    assert "Commands:" in call().stderr
    assert "layers" in call("plot").stderr
    failed(call("probee", "a.h5"), "Did you mean 'probe'?", code=2)
    failed(call("what"), "No such command 'what'", code=2)


def test_every_command_of_the_group_answers_help(call) -> None:
    for name in main.list_commands(None):
        assert call(name, "--help").exit_code == 0
