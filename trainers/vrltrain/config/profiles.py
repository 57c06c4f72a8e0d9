"""The profiles that a run's settings start from."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vrltrain.config.settings import TrainConfig

MEDIUM_TASKS = frozenset(
    (
        *("acrobot_swingup", "cartpole_swingup_sparse", "cheetah_run", "hopper_hop"),
        *("finger_turn_easy", "finger_turn_hard", "quadruped_run", "quadruped_walk"),
        *("reacher_easy", "reacher_hard", "walker_run"),
    )
)
"""Tasks on the reference's medium schedule; humanoid is hard, every other task is easy."""


def paper(task: str) -> TrainConfig:
    """The published settings of a task, as in the reference implementation's configuration."""
    config = TrainConfig(task=task)
    domain = task.split("_")[0]
    if domain == "humanoid":
        config = replace(
            config,
            total_frames=30_100_000,
            noise_steps=2_000_000,
            learning_rate=8e-5,
            feature_dim=100,
        )
    elif task in MEDIUM_TASKS:
        config = replace(config, total_frames=3_100_000, noise_steps=500_000)
    if domain == "walker":
        config = replace(config, n_step=1, batch_size=512)
    if task == "quadruped_run":
        config = replace(config, replay_capacity=100_000)
    return config


DESK: Mapping[str, Any] = {
    "image_size": 48,
    "channels": 16,
    "hidden_dim": 176,
    "batch_size": 128,
    "n_step": 3,
    "render": "fast",
    "noise_steps": 15_000,
    "total_frames": 100_001,
    "eval_every_frames": 2_000,
    "eval_episodes": 1,
    "final_episodes": 16,
    "good_return": 250.0,
    "bad_return": 60.0,
}
"""Tuned on walker_walk."""
DESK_TASKS: Mapping[str, Mapping[str, Any]] = {
    "finger_spin": {
        "hidden_dim": 96,
        "exploration_steps": 6_000,
        "noise_steps": 20_000,
        "total_frames": 60_001,
    },
}
"""What other tasks need else: three of four random episodes of finger_spin have no reward."""


def desk(task: str) -> TrainConfig:
    """A run of minutes on one processor core that still shows both fates of the paper's agents."""
    return replace(paper(task), profile="desk", **{**DESK, **DESK_TASKS.get(task, {})})


BENCH: Mapping[str, Any] = {
    **DESK,
    "n_step": 1,
    "precision": "float32",
    "noise_steps": 45_000,
    "total_frames": 500_001,
    "eval_every_frames": 4_000,
    "eval_episodes": 2,
    "images": "last",
    "good_return": 800.0,
}
"""Desk-size networks, trained until walkers walk; in one precision whatever the machine, so that
runs of different machines can be compared."""


def bench(task: str) -> TrainConfig:
    """A run of hours on one processor core that is long enough to solve the task."""
    return replace(paper(task), profile="bench", **BENCH)


PROFILES: Mapping[str, Callable[[str], TrainConfig]] = {
    "paper": paper,
    "bench": bench,
    "desk": desk,
}
