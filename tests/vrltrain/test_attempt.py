"""The reset rule while a run trains: when an attempt ends, and what the next one starts from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vrltrain.tiny import TINY, Stop, same_runs, stop_at
from vrlprobe.collapse.rule import Attempt
from vrlprobe.runs.reader import open_run
from vrltrain.config.profiles import desk
from vrltrain.config.settings import TrainConfig
from vrltrain.run import begin, resume
from vrltrain.train import Training, quiet

pytestmark = pytest.mark.needs("egl")

ALWAYS = replace(
    TINY,
    reset_rule=True,
    reset_window=2000,
    reset_threshold=1e9,
    reset_consecutive=1,
    total_frames=6001,
)
"""Resets at every window's end: no gradient norm exceeds its threshold."""


@pytest.fixture(scope="module")
def reset_run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reset") / "run.h5"
    begin(ALWAYS, path, quiet, quiet)
    return path


def test_the_window_is_the_noise_decay_unless_given() -> None:
    config = desk("walker_walk")
    assert config.rule.window == config.noise_steps * config.action_repeat
    assert replace(config, reset_window=123).rule.window == 123


def test_a_burst_at_the_onset_does_not_let_an_attempt_go_on() -> None:
    """Gradient norms of successive rows as a real run logged them while it fell into collapse."""
    rule = replace(TrainConfig(), reset_window=10_000).rule
    values = [np.nan, 4e-2, 5e-3, 3e-3, 8e-4, 1e-5, 1e-6, 1e-6, 1e-6, 1e-6]
    attempt = Attempt(measurements=[(1000 * (i + 1), v) for i, v in enumerate(values)])
    assert attempt.streak(rule) == 3
    assert attempt.fails(rule)


def test_attempts_follow_each_other_and_are_logged(reset_run: Path) -> None:
    with open_run(reset_run) as run:
        log = run.log
        assert log.frame.values.tolist() == [0, 1000, 2000, 3000, 4000, 5000, 6000]
        assert log.attempt.values.tolist() == [1, 1, 1, 2, 2, 3, 3]
        assert (log.rule_streak.values == 0).all()
        # noise and the 1,000 frames before the first update start again with each attempt
        assert log.noise_std.values[[1, 3, 5]].tolist() == pytest.approx(
            [log.noise_std.values[1]] * 3
        )
        assert (log.updates.values[[2, 4, 6]] == log.updates.values[2]).all()


def test_each_attempt_has_random_streams_of_its_own(reset_run: Path) -> None:
    with open_run(reset_run) as run:
        early = [run.parameters(frame)["actor/policy.0.weight"] for frame in (0, 3000, 5000)]
        assert not np.allclose(early[0], early[1], atol=1e-3)
        assert not np.allclose(early[1], early[2], atol=1e-3)


def test_environment_noise_and_draws_start_elsewhere_in_each_attempt(tmp_path: Path) -> None:
    """And at the same place again in another training of the same seed."""

    def begins(path: Path) -> list[tuple[np.ndarray, ...]]:
        training = Training(TINY, path)
        try:
            found = []
            for _ in range(3):
                training.begin_episode()
                noise = training.learner.clipped_noise((4,), 0.1).numpy()
                found.append((training.env.physics_state, noise, training.rng.random(4)))
                training.restart()
            return found
        finally:
            training.close()

    first, again = begins(tmp_path / "a.bin"), begins(tmp_path / "b.bin")
    for number, streams in enumerate(first):
        for stream, value in enumerate(streams):
            np.testing.assert_array_equal(value, again[number][stream])
            for other in first[:number]:
                assert not np.allclose(value, other[stream], atol=1e-3)


def test_the_rule_reads_the_metric_that_it_is_told_to(tmp_path: Path) -> None:
    """A spread above its threshold keeps an attempt whose gradient norm would not."""
    config = replace(ALWAYS, reset_metric="action_spread", reset_threshold=1e-12, total_frames=4001)
    begin(config, tmp_path / "kept.h5", quiet, quiet)
    begin(replace(config, reset_threshold=10.0), tmp_path / "reset.h5", quiet, quiet)
    for name, attempts in (("kept", {1}), ("reset", {1, 2})):
        with open_run(tmp_path / f"{name}.h5") as run:
            assert set(run.log.attempt.values.tolist()) == attempts


def test_every_option_together_goes_on_as_unbroken(tmp_path: Path) -> None:
    config = replace(
        ALWAYS, reset_parts="mlp", reset_replay="keep", activation="leaky_relu", perturb_steps=50,
        total_frames=4001,
    )  # fmt: skip
    begin(config, tmp_path / "unbroken.h5", quiet, quiet)
    with pytest.raises(Stop):
        begin(config, tmp_path / "run.h5", stop_at(3000), quiet)
    assert resume(tmp_path / "run.h5", quiet)
    same_runs(tmp_path / "unbroken.h5", tmp_path / "run.h5")
    with open_run(tmp_path / "run.h5") as run:
        assert run.log.attempt.values.tolist() == [1, 1, 1, 2, 2]
        assert run.config["activation"] == "leaky_relu"


def test_without_the_rule_nothing_is_reset(tmp_path: Path) -> None:
    begin(replace(ALWAYS, reset_rule=False, total_frames=3001), tmp_path / "run.h5", quiet, quiet)
    with open_run(tmp_path / "run.h5") as run:
        assert (run.log.attempt.values == 1).all()


def test_an_attempt_that_shows_life_trains_to_the_end(tmp_path: Path) -> None:
    config = replace(ALWAYS, reset_threshold=0.0, reset_consecutive=1, total_frames=5001)
    begin(config, tmp_path / "run.h5", quiet, quiet)
    with open_run(tmp_path / "run.h5") as run:
        assert (run.log.attempt.values == 1).all()
        assert run.log.rule_streak.values[-1] >= 1


def test_a_rule_that_never_fires_changes_nothing(tmp_path: Path) -> None:
    """So a cohort with the rule needs new trainings only of the seeds that it resets."""
    kept = replace(ALWAYS, reset_threshold=0.0, total_frames=4001)
    begin(kept, tmp_path / "ruled.h5", quiet, quiet)
    begin(replace(kept, reset_rule=False), tmp_path / "plain.h5", quiet, quiet)
    same_runs(tmp_path / "ruled.h5", tmp_path / "plain.h5")


@pytest.mark.parametrize("frame", [2000, 3000, 4200])
def test_a_run_stopped_around_a_reset_goes_on_as_unbroken(
    frame: int, reset_run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(Stop):
        begin(ALWAYS, path, stop_at(frame), quiet)
    assert resume(path, quiet)
    same_runs(path, reset_run)


@pytest.mark.parametrize(
    ("parts", "new"),
    [
        ("all", {"encoder", "actor", "critic", "critic_target"}),
        ("mlp", {"actor", "critic", "critic_target"}),
        ("cnn", {"encoder"}),
    ],
)
def test_the_parts_that_are_asked_for_start_again(
    parts: str, new: set[str], tmp_path: Path
) -> None:
    config = replace(TINY, reset_parts=parts, reset_replay="keep", reset_noise="continue")
    training = Training(config, tmp_path / "replay.bin")
    try:
        training.play_until(2000, quiet)
        before = {name: tensor.clone() for name, tensor in training.agent.named_tensors().items()}
        stored, std = len(training.replay), training.std
        training.restart()
        after = training.agent.named_tensors()
        weights = [name for name in before if name.endswith("0.weight") and before[name].ndim > 1]
        changed = {n.split("/")[0] for n in weights if not torch.equal(before[n], after[n])}
        assert changed == new
        for part in training.learner.optimizers:
            moments = training.learner.moments(part)
            assert any(moment.any() for moment in moments) == (part not in new)
        assert len(training.replay) == stored
        assert training.std == std
        training.play_until(training.frame + 1000, quiet)
        assert training.learner.updates > 0  # a kept replay is learned from at once
    finally:
        training.close()
