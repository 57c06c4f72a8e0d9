"""The smallest real training that tests use, and ways to stop and compare runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vrlprobe.runs.reader import open_run
from vrltrain.config.settings import TrainConfig
from vrltrain.train import TIMINGS

TINY = replace(
    TrainConfig(task="cartpole_balance", profile="desk", precision="float32"),
    image_size=24,
    channels=4,
    feature_dim=8,
    hidden_dim=16,
    batch_size=16,
    action_repeat=20,
    render="fast",
    exploration_steps=50,
    seed_frames=1000,
    total_frames=4001,
    eval_every_frames=1000,
    eval_episodes=1,
    final_episodes=2,
    replay_capacity=120,
    norm_batch_size=32,
    noise_steps=160,
)
OPTIONS = [
    *("--task", "cartpole_balance", "--image-size", "24", "--channels", "4", "--feature-dim", "8"),
    *("--hidden-dim", "16", "--batch-size", "16", "--action-repeat", "20", "--seed-frames", "1000"),
    *("--precision", "float32", "--eval-episodes", "1", "--final-episodes", "2"),
    *("--norm-batch-size", "32", "--eval-every-frames", "1000"),
]


class Stop(Exception):
    """Ends a training from its progress callback."""


def stop_at(frame: int):
    def progress(training) -> None:
        if training.frame >= frame:
            raise Stop

    return progress


def same_runs(one: Path, two: Path) -> None:
    """Every checkpoint, rollout, batch and log of two runs, timings excepted."""
    with open_run(one) as a, open_run(two) as b:
        np.testing.assert_array_equal(a.frames, b.frames)
        for frame in a.frames:
            assert a.digest(frame) == b.digest(frame), frame
            for x, y in zip(a.rollout(frame), b.rollout(frame), strict=True):
                np.testing.assert_array_equal(x.states, y.states)
                np.testing.assert_array_equal(x.images, y.images)
            left, right = a.batch(frame), b.batch(frame)
            assert (left is None) == (right is None)
            for x, y in zip(left or (), right or (), strict=True):
                np.testing.assert_array_equal(x, y)
        assert a.log.drop_vars(TIMINGS).equals(b.log.drop_vars(TIMINGS))
