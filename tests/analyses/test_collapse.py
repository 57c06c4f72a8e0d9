"""Verdicts and the rule on whole run files: which columns are read, what stands in for them."""

from pathlib import Path

import numpy as np
import pytest

from tests.analyses.logs import ESCAPES, FRAMES, LATE, STUCK, WINDOW, N, log_of
from vrlprobe import metrics as numbers
from vrlprobe.analyses import collapse, reset_rule
from vrlprobe.collapse.indicators import ACTION_STD, RANK, Indicator
from vrlprobe.collapse.measurements import measurements
from vrlprobe.collapse.rule import Rule
from vrlprobe.errors import SampleError
from vrlprobe.metrics.gradients import gradient_norms
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def open_made(make_run):
    """`open_made(stuck=log, ...)` opens a run for each log."""
    opened = []

    def make(**logs):
        for seed, (name, log) in enumerate(logs.items()):
            path = make_run(
                f"{name}.h5", seed=seed, frames=FRAMES, episodes=3, config=WINDOW, log=log
            )
            opened.append(open_run(path))
        return opened[-len(logs) :]

    yield make
    for run in opened:
        run.close()


def test_verdicts_come_from_the_log(open_made) -> None:
    runs = open_made(stuck=log_of(STUCK), escapes=log_of(ESCAPES))
    assert [str(v) for v in collapse(runs)] == ["stuck since 1,000", "escaped at 5,000"]
    assert [str(v) for v in collapse(runs, window=20_000)] == ["undecided", "escaped at 5,000"]


def test_untrained_rows_do_not_count(open_made) -> None:
    (run,) = open_made(healthy=log_of([0.0] + [0.5] * (N - 1)))
    found = measurements(run)
    assert np.isnan(found.values["action_spread"][0])
    assert collapse([run])[0].word == "healthy"


def test_a_column_of_two_dimensions_has_a_name_for_each_pair(make_run) -> None:
    table = np.arange(6 * N).reshape(N, 3, 2)
    log = {**log_of(ESCAPES), "attention": table.tolist()}
    path = make_run("heads.h5", frames=FRAMES, config=WINDOW, log=log)
    with open_run(path) as run:
        found = measurements(run).values
        assert str(collapse(run)) == "escaped at 5,000"
    assert [name for name in found if name.startswith("attention")] == [
        f"attention[mlp{layer},head{head}]" for layer in range(3) for head in range(2)
    ]
    np.testing.assert_array_equal(found["attention[mlp2,head0]"][1:], table[1:, 2, 0])


def test_thresholds_can_be_moved(open_made) -> None:
    (run,) = open_made(low=log_of([0.05] * N))
    assert collapse([run])[0].phases[0].collapsed
    assert (
        not collapse([run], indicators=(Indicator(ACTION_STD.name, 0.01),))[0].phases[0].collapsed
    )


def test_signs_that_are_none(open_made) -> None:
    (run,) = open_made(low=log_of([0.05] * N))
    with pytest.raises(ValueError, match="indicators are given in a list"):
        collapse(run, indicators=ACTION_STD)
    for study in (collapse, reset_rule):
        with pytest.raises(
            ValueError, match=r"an indicator is a .*Indicator.*, not 'action_spread'"
        ):
            study(run, indicators=["action_spread"])
    with pytest.raises(ValueError, match=r"an indicator is a .*Indicator.*, not 'grad_norm'"):
        reset_rule(run, indicator="grad_norm")


def test_the_last_attempt_is_judged_by_its_own_window(open_made) -> None:
    attempts = [1] * 9 + [2] * 3
    (run,) = open_made(reset=log_of([1e-5] * N, attempts))
    verdict = collapse([run])[0]
    assert verdict.word == "undecided"
    assert verdict.phases[0].first == 9000


def test_an_attempt_that_a_commit_left_out_goes_on(open_made) -> None:
    nan = float("nan")
    healthy, reset, bare = open_made(
        healthy=log_of([0.5] * N, [nan] + [1] * (N - 2) + [nan]),
        reset=log_of([1e-5] * N, [1] * 6 + [2, nan, nan, 2, nan, nan]),
        bare=log_of(ESCAPES, [nan] * N),
    )
    assert measurements(healthy).attempts.tolist() == [1] * N
    assert measurements(reset).attempts.tolist() == [1] * 6 + [2] * 6
    assert measurements(bare).attempts.tolist() == [1] * N
    assert [verdict.word for verdict in collapse([healthy, bare])] == ["healthy", "escaped"]


def test_without_logs_rollouts_and_batches_are_asked(make_run) -> None:
    with open_run(make_run("bare.h5", frames=FRAMES[:4], config=WINDOW)) as run:
        found = measurements(run)
        actions = np.concatenate([episode.actions for episode in run.rollout(1000)])
        assert found.values["action_spread"][1] == pytest.approx(numbers.action_std(actions))
        assert np.isnan(found.values["grad_norm[mlp1]"]).all()
        assert collapse([run])[0].word == "healthy"


def test_gradients_that_were_not_logged_are_those_that_would_have_been() -> None:
    with open_run(FIXTURES / "cartpole_balance.h5") as run:
        logged = run.log["grad_norm"].sel(layer="mlp1").values
        found = [gradient_norms(run, frame, run.agent(frame)).get("mlp1") for frame in run.frames]
    np.testing.assert_allclose(found[1:], logged[1:], rtol=1e-4)


def test_the_fixtures_are_what_they_are_called() -> None:
    with (
        open_run(FIXTURES / "walker_walk-learned.h5") as learned,
        open_run(FIXTURES / "walker_walk-collapsed.h5") as collapsed,
    ):
        healthy, stuck = collapse([learned, collapsed], make_samples([learned]))
    names = [item.indicator.name for item in stuck.evidence]
    assert "numerical_rank[mlp1]" in names
    assert "correlation_samples[mlp2]" in names
    assert all(item.agrees for item in (*healthy.evidence, *stuck.evidence))


def test_a_window_that_nobody_knows_is_asked_for(make_run) -> None:
    with open_run(make_run("bare.h5", frames=FRAMES[:4])) as run:
        with pytest.raises(SampleError, match="`window`"):
            collapse([run])
        assert collapse([run], window=1000)[0].word == "healthy"
        for study in (collapse, reset_rule):
            with pytest.raises(ValueError, match="window must be at least 1, not -5"):
                study([run], window=-5)


def test_noise_that_goes_on_through_a_reset_has_decayed(make_run) -> None:
    """The second attempt begins at 6,000, with the noise at its minimum since 4,000."""
    log = log_of([1e-5] * 9, [1] * 7 + [2] * 2)
    log = {name: column[:9] for name, column in log.items()}
    settings = {"noise_steps": 2000, "action_repeat": 2}
    for noise, word in (("restart", "undecided"), ("continue", "stuck")):
        config = {**WINDOW, **settings, "reset_noise": noise}
        with open_run(make_run(f"{noise}.h5", frames=FRAMES[:9], config=config, log=log)) as run:
            assert collapse(run).word == word


def test_an_indicator_without_measurements_cannot_decide(open_made) -> None:
    (run,) = open_made(stuck=log_of(STUCK))
    with pytest.raises(ValueError, match=r"no measurements of numerical_rank\[mlp1\]: there are"):
        collapse(run, indicators=[RANK])
    with pytest.raises(ValueError, match="a verdict needs an indicator that decides"):
        collapse(run, indicators=[])


class TestRule:
    def test_it_fires_on_what_stays_stuck_and_on_what_comes_too_late(self, open_made) -> None:
        runs = open_made(stuck=log_of(STUCK), escapes=log_of(ESCAPES), late=log_of(LATE))
        found = reset_rule(runs, consecutive=3)
        assert found["fired"].values.tolist() == [8000, -1, 8000]
        assert found["judged"].values.tolist() == ["right", "right", "wrong"]
        assert found["saved"].values.tolist() == [3000, 0, 0]
        assert found["lost"].values.tolist() == [0, 0, 8000]
        assert found["p"].item() == pytest.approx(2 / 3)
        assert found["n"].item() == Rule(8000).attempts(24_000) == 3
        assert found["success"].item() == pytest.approx(1 - (2 / 3) ** 3)

    def test_any_logged_metric_can_stand_in_it(self, open_made) -> None:
        runs = open_made(stuck=log_of(STUCK), escapes=log_of(ESCAPES))
        found = reset_rule(runs, indicator=ACTION_STD, consecutive=3)
        assert found["fired"].values.tolist() == [8000, -1]
        with pytest.raises(
            SampleError, match=r"no measurements of rank: there are .*grad_norm\[mlp0\]"
        ):
            reset_rule(runs, indicator=Indicator("rank", 3))

    def test_before_the_end_of_the_window_nothing_is_decided(self, open_made) -> None:
        found = reset_rule(open_made(stuck=log_of(STUCK)), window=20_000)
        assert not found["decided"].item()
        assert found["judged"].item() == "open"
        assert "p" not in found

    def test_a_window_with_too_few_measurements_could_only_fire(self, open_made) -> None:
        runs = open_made(escapes=log_of(ESCAPES))
        with pytest.raises(
            SampleError, match=r"has 3 measurements of grad_norm\[mlp1\] in the first"
        ):
            reset_rule(runs, window=3000)
        assert reset_rule(runs, window=3000, consecutive=3)["fired"].item() == 3000
