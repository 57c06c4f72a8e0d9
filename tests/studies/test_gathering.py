"""Cohorts of several tasks and of runs that keep their returns in the log."""

import numpy as np
import pytest

from vrlprobe import open_run, read_records
from vrlprobe.studies import cohort, metrics, probe


def test_tasks_of_other_lengths_keep_their_deviation() -> None:
    records = {
        name: read_records(f"docs/study/{name}/*.json") for name in ("desk", "finger", "hopper")
    }
    alone = {name: cohort(found)["deviation"].item() for name, found in records.items()}
    assert np.isfinite(list(alone.values())).all()
    together = cohort([*records["desk"], *records["hopper"]])["deviation"].item()
    assert together == pytest.approx((alone["desk"] + alone["hopper"]) / 2)


def test_logged_returns_are_those_of_every_study(make_run, good) -> None:
    path = make_run("log.h5", seed=7, episodes=0, log={"episode_return": [5.0, 30.0, 70.0]})
    with open_run(path) as run:
        assert cohort(run, window=1000)["final_return"].values.tolist() == [70]
        for found in (
            metrics(run, good, layers="mlp1"),
            probe(run, good, frames="all", layers="mlp1", max_atoms=1),
        ):
            assert found["episode_return"].values.tolist() == [[5, 30, 70]]
