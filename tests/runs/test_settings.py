"""Configs that other programs wrote: missing, null, and not a number."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from vrlprobe.analyses import cohort
from vrlprobe.errors import FormatError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import is_finished
from vrlprobe.runs.settings import number, whole


def run_of(**config: object) -> SimpleNamespace:
    return SimpleNamespace(config=config, path=Path("mine.h5"))


def test_missing_and_null_are_the_default() -> None:
    for run in (run_of(), run_of(seed=None)):
        assert number(run, "seed") is None
        assert whole(run, "seed", -1) == -1
    assert number(run_of(good_return=900), "good_return") == 900
    assert whole(run_of(seed=2**62 + 1), "seed") == 2**62 + 1  # no float on the way
    assert whole(run_of(total_frames=1e5), "total_frames") == 100_000


@pytest.mark.parametrize("value", ["7", True, [1], float("nan"), float("inf")])
def test_what_is_no_number_is_named(value: object) -> None:
    with pytest.raises(FormatError, match=r"mine.h5: its config has seed .*, a number is needed"):
        number(run_of(seed=value), "seed")


@pytest.mark.parametrize("value", [0.5, -3])
def test_what_is_no_whole_number_is_named(value: float) -> None:
    with pytest.raises(FormatError, match="a whole number is needed"):
        whole(run_of(seed=value), "seed")


def test_a_run_of_another_program_is_counted(make_run) -> None:
    config = {"seed": None, "eval_every_frames": 0, "total_frames": 1001, "rule_window": 1000}
    log = {"action_spread": [0.5] * 2, "grad_norm": [[0.1] * 3] * 2}
    path = make_run("foreign.h5", frames=(0, 1000), config=config, log=log)
    with open_run(path) as run:
        assert is_finished(run)  # it does not say when it is evaluated
        assert cohort([run], good=30, bad=10)["seed"].item() == -1
