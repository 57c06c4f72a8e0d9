"""Cohorts of several tasks and of runs that keep their returns in the log."""

import numpy as np
import pytest

from vrlprobe import open_run, read_records
from vrlprobe.analyses import cohort, metrics, probe, survival
from vrlprobe.cli.cohort import describe
from vrlprobe.report.summary import summary


def test_tasks_of_other_lengths_keep_their_deviation() -> None:
    records = {
        name: read_records(f"docs/study/{name}/*.json") for name in ("desk", "finger", "hopper")
    }
    alone = {name: cohort(found)["deviation"].item() for name, found in records.items()}
    assert np.isfinite(list(alone.values())).all()
    together = cohort([*records["desk"], *records["hopper"]])
    assert together["deviation"].item() == pytest.approx((alone["desk"] + alone["hopper"]) / 2)
    each = together.sel(each_task=["walker_walk", "hopper_stand"])
    np.testing.assert_allclose(each["task_deviation"], [alone["desk"], alone["hopper"]])
    finals = [run.returns[-1] for run in records["hopper"]]
    hopper = each.sel(each_task="hopper_stand")
    assert hopper["task_runs"].item() == 6
    assert hopper["task_percentile_95"].item() == pytest.approx(np.quantile(finals, 0.95))
    *_, first, last = summary(together).splitlines()
    assert first.startswith("walker_walk, 20 runs: mean 229; 5th to 95th percentile over runs: 32")
    assert last.startswith("hopper_stand, 6 runs: mean 5; ")


def test_out_of_collapse_is_when_survival_sees_it() -> None:
    """Seeds 4, 16, 19 and 20 were never in it, and count to their first measurement in both."""
    records = read_records("docs/study/desk/*.json")
    found, waited = cohort(records), survival(records)
    out = waited["out"].values
    assert found["run"].values.tolist() == waited["run"].values.tolist()
    np.testing.assert_array_equal(found["out"].values[out], waited["duration"].values[out])
    np.testing.assert_array_equal(np.isinf(found["out"].values), ~out)
    never = ~waited["entered"].values
    assert sorted(found["seed"].values[never].tolist()) == [4, 16, 19, 20]
    np.testing.assert_array_equal(found["out"].values[never], found["read_from"].values[never])


def test_a_run_reset_late_ends_in_collapse_and_is_not_stuck() -> None:
    """Seed 9 of the study: three attempts stuck, a fourth too young to be called so."""
    found = cohort(read_records("docs/study/ruled/*.json"), by="reset_rule")
    nine = found.isel(run=found["seed"].values.tolist().index(9))
    assert (nine["verdict"].item(), nine["out"].item()) == ("undecided", np.inf)
    assert (found["stuck"].item(), found["ends_in_collapse"].item()) == (0, 1)
    assert "0 stuck, 1 undecided; 1 in collapse at the end" in summary(found)
    text = describe(found)
    assert "undecided, in collapse" in text
    assert text.count("in collapse at the end") == 2


def test_how_fast_the_studys_runs_learn() -> None:
    records = read_records("docs/study/desk/*.json")
    found = cohort(records, threshold=200)
    needed, reached, areas = [], [], []
    for run in records:
        over = [f for f, value in zip(run.frames, run.returns, strict=True) if value >= 200]
        needed.append(over[0] if over else run.frames[-1])
        reached.append(bool(over))
        steps = (run.returns[1:] + run.returns[:-1]) / 2 * np.diff(run.frames)
        areas.append(steps.sum() / (run.frames[-1] - run.frames[0]))
    assert found["frames_to_threshold"].values.tolist() == needed
    assert found["reached"].values.tolist() == reached
    np.testing.assert_allclose(found["area_under_curve"], areas)
    ordered = np.sort(np.where(reached, needed, np.inf))  # all are censored at the last frame
    median, low, high = found["task_median_frames"].values[0]
    assert median == ordered[9]  # at most ten of twenty remain
    assert low < median < high
    area = found["task_area_under_curve"].sel(bound="estimate").item()
    assert area == pytest.approx(np.mean(areas))
    lines = summary(found).splitlines()
    assert lines[-2].startswith(f"return over training: {area:.0f} (")
    assert lines[-1] == (
        f"frames to a return of 200: median {median:,.0f} ({low:,.0f} to {high:,.0f}), reached by "
        f"{sum(reached)} of 20"
    )
    default = cohort(records)
    assert set(default["threshold"].values) == {250.0}
    with pytest.raises(ValueError, match="threshold must be a finite number, not nan"):
        cohort(records, threshold=np.nan)


def test_how_fast_the_inits_of_a_grid_learn() -> None:
    """The good agent whole is over 150 at frame 0 in seven of eight runs, the others hardly are."""
    found = cohort(read_records("docs/study/grid/*.json"), by="init", threshold=150)
    whole = found.sel(group=["good-good", "blank-blank"])
    assert whole["median_frames"].sel(bound="estimate").values.tolist() == [0, np.inf]
    part = found.isel(run=found["of_group"].values == "good-good")
    assert int((part["frames_to_threshold"] == 0).sum()) == 7
    area = part["area_under_curve"].mean().item()
    assert whole["mean_area_under_curve"].values[0] == pytest.approx(area)
    assert "median frames to threshold" in describe(found)


def test_logged_returns_are_those_of_every_study(make_run, good) -> None:
    path = make_run("log.h5", seed=7, episodes=0, log={"episode_return": [5.0, 30.0, 70.0]})
    with open_run(path) as run:
        assert cohort(run, window=1000)["final_return"].values.tolist() == [70]
        for found in (
            metrics(run, good, layers="mlp1"),
            probe(run, good, frames="all", layers="mlp1", max_atoms=1),
        ):
            assert found["episode_return"].values.tolist() == [[5, 30, 70]]
