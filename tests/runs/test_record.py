"""Records of finished runs: what comes back, what is refused, and that they stay small."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from vrlprobe.errors import FormatError
from vrlprobe.results.file import save_result
from vrlprobe.runs.collection import open_logged
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import (
    config_digest,
    is_record,
    make_record,
    read_record,
    write_record,
)

FRAMES = (0, 1000, 2000)
LOG = {
    "action_spread": [0.06, 1.23456789e-5, 0.5],
    "grad_norm": [[np.nan] * 3, [1e-6, 2e-6, 3e-6], [0.1, 0.2, 0.3]],
}
TOTAL = {"total_frames": 2001, "eval_every_frames": 1000}


@pytest.fixture
def run(make_run):
    with open_run(make_run("seed3.h5", seed=3, frames=FRAMES, log=LOG, config=TOTAL)) as opened:
        yield opened


def test_what_is_written_comes_back(run, tmp_path: Path) -> None:
    path = tmp_path / "seed3.json"
    write_record(replace(make_record(run), sections={"probe": {"test_r2": [0.5]}}), path)
    found = read_record(path)
    assert found.name == "seed3"
    assert found.config == dict(run.config)
    assert found.checkpoint == run.digest(FRAMES[-1])
    assert found.sections == {"probe": {"test_r2": [0.5]}}
    np.testing.assert_array_equal(found.frames, run.frames)
    np.testing.assert_allclose(found.returns, run.returns, rtol=1e-5)
    np.testing.assert_allclose(found.final_returns, run.rollout(FRAMES[-1]).returns, rtol=1e-5)
    xr.testing.assert_allclose(found.log, run.log, rtol=1e-5)
    assert path.stat().st_size < 100_000
    assert [item.name for item in tmp_path.iterdir() if item.suffix != ".h5"] == ["seed3.json"]


def test_a_record_says_on_which_machines_it_was_trained(run, tmp_path: Path) -> None:
    assert make_record(run).stretches == []
    stretches = [{"frame": 0, "processor": "a"}, {"frame": 2000, "processor": "b"}]
    write_record(replace(make_record(run), stretches=stretches), tmp_path / "a.json")
    assert read_record(tmp_path / "a.json").stretches == stretches


def test_columns_of_several_coordinates_come_back(run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = xr.Dataset(
        {
            "loss": ("frame", rng.random(3)),
            "norm": (("frame", "layer"), rng.random((3, 2))),
            "share": (("frame", "head"), rng.random((3, 4))),
            "both": (("frame", "head", "layer"), rng.random((3, 4, 2))),
        },
        coords={"frame": list(FRAMES), "layer": ["mlp0", "mlp1"], "head": list("abcd")},
    )
    write_record(replace(make_record(run), log=log), tmp_path / "a.json")
    xr.testing.assert_allclose(read_record(tmp_path / "a.json").log, log, rtol=1e-5)


def test_records_of_before_are_read() -> None:
    kept = Path(__file__).parents[2] / "docs/study/runs/walker_walk-desk-seed1-1e8806ec.json"
    log = read_record(kept).log
    assert log["grad_norm"].dims == ("frame", "layer")
    assert log["action_spread"].dims == ("frame",)


def test_runs_and_records_open_by_one_name(run, tmp_path: Path) -> None:
    write_record(make_record(run), tmp_path / "seed3.json")
    for path in (run.path, tmp_path / "seed3.json"):
        np.testing.assert_array_equal(open_logged(path).frames, run.frames)


def test_what_a_record_says_cannot_be_changed(run) -> None:
    record = make_record(run)
    for values in (record.frames, record.returns, record.final_returns):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = 0


def test_the_key_is_that_of_settings_and_seed() -> None:
    assert config_digest({"a": 1, "seed": 2}) == config_digest({"seed": 2, "a": 1})
    assert config_digest({"a": 1, "seed": 2}) != config_digest({"a": 1, "seed": 3})


def test_an_unfinished_run_has_no_record(make_run) -> None:
    config = {"total_frames": 5001, "eval_every_frames": 1000}
    with (
        open_run(make_run("half.h5", frames=FRAMES, config=config)) as run,
        pytest.raises(FormatError, match="stopped at frame 2000 of 5001: finish it"),
    ):
        make_record(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: "no json", "is not the record of a run"),
        (lambda c: "[" * 200_000, "is not the record of a run"),
        (lambda c: json.dumps([1]), "is not the record of a run"),
        (lambda c: json.dumps({**c, "vrlprobe_record": 2}), "record version 2"),
        (lambda c: json.dumps({k: v for k, v in c.items() if k != "frames"}), "not the record"),
        (lambda c: json.dumps({**c, "config": {**c["config"], "seed": 9}}), "settings are not"),
        (lambda c: json.dumps({**c, "config": 3}), "is not the record of a run"),
        (lambda c: json.dumps({k: v for k, v in c.items() if k != "digest"}), "not the record"),
        (lambda c: json.dumps({**c, "final_returns": None}), "returns that are not one a frame"),
        (lambda c: json.dumps({**c, "returns": c["returns"][:1]}), "not one a frame"),
        (lambda c: json.dumps({**c, "frames": c["frames"][::-1]}), "frames do not ascend"),
        (lambda c: json.dumps({**c, "log": {"loss": [[[1.0]]]}}), "is not the record of a run"),
    ],
)
def test_what_is_no_record_is_refused(change, message, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "seed3.json"
    write_record(make_record(run), path)
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(FormatError, match=message):
        read_record(path)
    assert is_record(path) == path.read_text().startswith("{")


def test_a_record_takes_no_other_files_place(run, tmp_path: Path) -> None:
    path = tmp_path / "seed3.json"
    path.write_text('{"my": "notes"}')
    with pytest.raises(FormatError, match="is where the run's record goes, and is none: move it"):
        write_record(make_record(run), path)
    assert path.read_text() == '{"my": "notes"}'


def test_no_result_takes_a_records_place(run, tmp_path: Path) -> None:
    path = tmp_path / "seed3.json"
    write_record(make_record(run), path)
    with pytest.raises(FormatError, match="a result of probe does not end in"):
        save_result(xr.Dataset(attrs={"vrlprobe": "probe"}), path)
    assert read_record(path).name == "seed3"


def test_evaluations_that_do_not_divide_the_run(make_run) -> None:
    """Whole episodes: evaluations are due at 0, 2,500, 5,000, 7,500 and 10,000."""
    config = {"total_frames": 10_001, "eval_every_frames": 2500}
    for frames, whole in (((0, 3000, 8000), False), ((0, 3000, 8000, 10_000), True)):
        with open_run(make_run(f"{len(frames)}.h5", frames=frames, config=config)) as run:
            assert run.finished == whole


def test_a_missing_record_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        read_record(tmp_path / "none.json")
