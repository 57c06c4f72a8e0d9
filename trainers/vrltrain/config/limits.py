"""What settings may be: each by itself, and beside the others."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vrltrain.config.settings import TrainConfig

CHOICES: Mapping[str, tuple[str, ...]] = {
    "activation": ("relu", "leaky_relu"),
    "render": ("full", "fast"),
    "precision": ("auto", "float32", "bfloat16"),
    "images": ("one", "all", "last", "none"),
    "reset_metric": ("grad_norm[mlp0]", "grad_norm[mlp1]", "grad_norm[mlp2]", "action_spread"),
    "reset_parts": ("all", "mlp", "cnn"),
    "reset_replay": ("clear", "keep"),
    "reset_noise": ("restart", "continue"),
    "init_blanks": ("redraw", "file"),
}
"""Values of the settings that are names. `images` says which evaluation episodes keep theirs: one
and all at the last checkpoint, all everywhere, all at the last one only, or none."""

POSITIVE = (
    *("image_size", "frame_stack", "action_repeat", "channels", "feature_dim", "hidden_dim"),
    *("batch_size", "n_step", "update_every_steps", "total_frames", "replay_capacity"),
    *("eval_every_frames", "eval_episodes", "final_episodes", "norm_batch_size", "threads"),
    "reset_consecutive",
)
"""Settings that are at least 1; every other number is at least 0."""
EVALUATIONS = 1_000_000
"""Evaluations of a run, at most."""
AT_MOST: Mapping[str, str | float] = {
    "bad_return": "good_return",
    "perturb_min": "perturb_max",
    "perturb_max": 1.0,
    "discount": 1.0,
    "target_tau": 1.0,
    "norm_batch_size": "replay_capacity",
    "threads": 1024,
    "seed": 2**63 - 1,
}
"""Settings that are at most another one, or a number."""


def check_each(config: "TrainConfig") -> None:
    """Raise ValueError for a setting that is out of its range, or none of its choices."""
    settings = asdict(config)
    for name, value in settings.items():
        if isinstance(value, int | float) and not 0 <= value < math.inf:
            least = "1" if name in POSITIVE else "0"
            raise ValueError(f"{name} is {value}, needed a number of {least} or more")
    for name, values in CHOICES.items():
        if settings[name] not in values:
            raise ValueError(f"{name} is {settings[name]!r}, needed {', '.join(values)}")
    for name in POSITIVE:
        if settings[name] < 1:
            raise ValueError(f"{name} is {settings[name]}, needed 1 or more")
    for name, most in AT_MOST.items():
        limit = settings[most] if isinstance(most, str) else most
        if settings[name] > limit:
            called = f"{most} is {limit}" if isinstance(most, str) else f"at most {limit}"
            raise ValueError(f"{name} is {settings[name]}, but {called}")


def check_together(config: "TrainConfig") -> None:
    """Raise ValueError for settings that contradict each other."""
    if config.shift_pad >= config.image_size:
        raise ValueError(f"shift_pad is {config.shift_pad}, but image_size is {config.image_size}")
    steps = config.total_frames // config.action_repeat
    if config.total_frames > config.seed_frames and config.batch_size > steps:
        raise ValueError(
            f"batch_size is {config.batch_size}, but the run has {steps} agent steps in all"
        )
    if config.perturb_steps % config.update_every_steps:
        raise ValueError(
            f"perturb_steps is {config.perturb_steps}, needed a multiple of update_every_steps, "
            f"{config.update_every_steps}: weights are perturbed at updates"
        )
    evaluations = -(-config.total_frames // config.eval_every_frames)
    if evaluations > EVALUATIONS:
        raise ValueError(
            f"total_frames is {config.total_frames} and eval_every_frames "
            f"{config.eval_every_frames}, which makes {evaluations:,} evaluations, but at most "
            f"{EVALUATIONS:,}"
        )
