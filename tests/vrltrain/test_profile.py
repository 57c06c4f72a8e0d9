"""`vrltrain profile` on the smallest real training, and the stopwatch on known work."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vrltrain.tiny import OPTIONS, TINY
from vrltrain import phases, replay
from vrltrain.breakdown import Breakdown, describe
from vrltrain.cli import main
from vrltrain.phases import PHASES, Stopwatch
from vrltrain.profile import profile

ORIGINALS = [(owner, name, getattr(owner, name)) for of in PHASES.values() for owner, name in of]
EXPECTED = set(PHASES) - {"perturbation"}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Breakdown:
    folder = tmp_path_factory.mktemp("profile")
    lines: list[str] = []
    breakdown = profile(replace(TINY, eval_episodes=3), folder, lines.append, updates=30)
    assert not list(folder.iterdir())
    assert lines[0] == "filling the replay, episode 1"
    return breakdown


def test_the_phases_make_up_the_whole(found: Breakdown) -> None:
    """Timing 3-millisecond updates call by call costs a share that a real one does not see."""
    assert {phase.name for phase in found.phases} == EXPECTED
    assert all(phase.seconds.wall > 0 for phase in found.phases)
    assert found.total.cpu == pytest.approx(found.unbroken.cpu, rel=0.35)
    assert found.updates == 30


def test_floors_are_of_what_can_be_counted(found: Breakdown) -> None:
    floors = {phase.name for phase in found.phases if phase.floor is not None}
    assert floors == EXPECTED - {"physics", "rendering", "evaluation", "gradient norm", "other"}
    for phase in found.phases:
        assert phase.floor is None or phase.floor > 0
        assert (phase.ratio is None) == (phase.floor is None)


def test_the_trainer_is_left_as_it_was(found: Breakdown) -> None:
    assert all(getattr(owner, name) is original for owner, name, original in ORIGINALS)


def test_the_table_has_a_line_for_every_phase(found: Breakdown) -> None:
    text = describe(found)
    assert text.startswith("cartpole_balance, desk, float32: ")
    assert all(f"\n{name} " in text for name in EXPECTED)
    assert "the same work timed as a whole" in text


def test_json_has_every_figure(tmp_path: Path) -> None:
    arguments = ["profile", *OPTIONS, "--exploration-steps", "50", "--folder", str(tmp_path)]
    result = CliRunner().invoke(
        main, [*arguments, "--updates", "3", "--perturb-steps", "2", "--json"]
    )
    assert result.exit_code == 0, result.output
    stored = json.loads(result.stdout)
    assert {phase["name"] for phase in stored["phases"]} == set(PHASES)
    assert sum(phase["share"] for phase in stored["phases"]) == pytest.approx(1)
    total = sum(phase["seconds"] for phase in stored["phases"])
    assert stored["total_seconds"] == pytest.approx(total)
    assert stored["frames_per_second"] == pytest.approx(1000 / stored["unbroken_seconds"])
    assert stored["updates"] == 3
    assert stored["config"]["image_size"] == 24
    for phase in stored["phases"]:
        if phase["floor_seconds"] is not None:
            assert phase["ratio"] == pytest.approx(phase["seconds"] / phase["floor_seconds"])
    assert set(stored["operations_per_second"]) == {"float32"}
    assert "filling the replay" in result.stderr


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--task", "walker_wlak"], 1, "walker_walk"),
        (["--updates", "0"], 2, "--updates"),
        (["--folder", "/no/such/folder"], 2, "does not exist"),
        (["--profile", "dsk"], 2, "desk"),
        (["--image-size", "8"], 2, "too small"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(options, status: int, message: str) -> None:
    result = CliRunner().invoke(main, ["profile", *options])
    assert result.exit_code == status
    assert message in result.stderr
    assert not result.stdout


def test_the_inner_phase_runs_alone_but_for_whole_ones(monkeypatch) -> None:
    class Work:
        def outer(self) -> None:
            self.inner()
            time.sleep(0.01)

        def inner(self) -> None:
            time.sleep(0.03)

        def whole(self) -> None:
            self.inner()

    table = {"a": ((Work, "outer"),), "b": ((Work, "inner"),), "writing": ((Work, "whole"),)}
    monkeypatch.setattr(phases, "PHASES", table)
    stopwatch, work = Stopwatch(), Work()
    with stopwatch.watch():
        work.outer()
        work.whole()
        work.whole()
    work.outer()
    spent = {name: seconds.wall for name, seconds in stopwatch.spent.items()}
    assert set(spent) == {"a", "b", "writing", "other"}
    assert spent["a"] < spent["b"] < spent["writing"]
    assert spent["b"] >= 0.03
    assert spent["writing"] >= 0.06
    assert stopwatch.spent["b"].cpu < 0.03


def test_a_phase_that_fails_leaves_nothing_wrapped() -> None:
    original = replay.crop
    with pytest.raises(AttributeError), Stopwatch().watch():
        replay.crop(None, 0, 0, 0, None)
    assert replay.crop is original
