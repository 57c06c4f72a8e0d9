"""What a training run is made of: every setting, and the two profiles they start from."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from vrlprobe.agents.drqv2 import feature_size

MEDIUM_TASKS = frozenset(
    (
        *("acrobot_swingup", "cartpole_swingup_sparse", "cheetah_run", "hopper_hop"),
        *("finger_turn_easy", "finger_turn_hard", "quadruped_run", "quadruped_walk"),
        *("reacher_easy", "reacher_hard", "walker_run"),
    )
)
"""Tasks on the reference's medium schedule; humanoid is hard, every other task is easy."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "activation": ("relu", "leaky_relu"),
    "render": ("full", "fast"),
    "precision": ("auto", "float32", "bfloat16"),
    "images": ("one", "all", "last", "none"),
}
"""Values of the settings that are names. `images` says which evaluation episodes keep theirs: one
and all at the last checkpoint, all everywhere, all at the last one only, or none."""


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run; stored whole in its file.

    Frames are environment frames, steps are agent steps (a step is `action_repeat` frames).
    The defaults are DrQ-v2's published ones for an easy task.
    """

    task: str = "walker_walk"
    seed: int = 0
    profile: str = "paper"
    architecture: str = "drqv2"

    image_size: int = 84
    frame_stack: int = 3
    action_repeat: int = 2
    render: str = "full"

    channels: int = 32
    feature_dim: int = 50
    hidden_dim: int = 1024
    activation: str = "relu"

    learning_rate: float = 1e-4
    batch_size: int = 256
    n_step: int = 3
    discount: float = 0.99
    target_tau: float = 0.01
    update_every_steps: int = 2
    shift_pad: int = 4
    precision: str = "auto"

    exploration_steps: int = 2_000
    seed_frames: int = 4_000
    noise_start: float = 1.0
    noise_end: float = 0.1
    noise_steps: int = 100_000
    noise_clip: float = 0.3

    total_frames: int = 1_100_000
    replay_capacity: int = 1_000_000
    eval_every_frames: int = 10_000
    eval_episodes: int = 10
    final_episodes: int = 10
    norm_batch_size: int = 256
    images: str = "one"

    good_return: float = 900.0
    bad_return: float = 30.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
                raise ValueError(f"{name} is {value}, needed 0 or more")
        feature_size(self.image_size, self.channels)
        for name, values in CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is {getattr(self, name)!r}, needed {', '.join(values)}")
        for name in ("total_frames", "eval_every_frames", "eval_episodes", "batch_size", "n_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, needed 1 or more")

    @property
    def rule_window(self) -> int:
        """Frames after which the reset rule decides: where the noise reaches its minimum."""
        return self.noise_steps * self.action_repeat

    @property
    def evaluation_frames(self) -> range:
        """Frames at which a checkpoint and a rollout are written; the run ends with the last."""
        return range(0, self.total_frames, self.eval_every_frames)

    def noise_std(self, step: int) -> float:
        """Standard deviation of the exploration noise at an agent step: linear, then constant."""
        share = min(step / self.noise_steps, 1.0) if self.noise_steps else 1.0
        return self.noise_start + (self.noise_end - self.noise_start) * share

    def stored(self) -> dict[str, Any]:
        """The mapping that a run file keeps as its config."""
        return {**asdict(self), "rule_window": self.rule_window}


def paper(task: str) -> TrainConfig:
    """The published settings of a task, as in the reference implementation's configuration."""
    config = TrainConfig(task=task)
    domain = task.split("_")[0]
    if domain == "humanoid":
        config = replace(
            config,
            total_frames=30_100_000,
            noise_steps=2_000_000,
            learning_rate=8e-5 if task == "humanoid_walk" else 1e-4,
            feature_dim=100 if task == "humanoid_walk" else 50,
        )
    elif task in MEDIUM_TASKS:
        config = replace(config, total_frames=3_100_000, noise_steps=500_000)
    if domain == "walker":
        config = replace(config, n_step=1, batch_size=512)
    if task == "quadruped_run":
        config = replace(config, replay_capacity=100_000)
    return config


def desk(task: str) -> TrainConfig:
    """A run of minutes on one processor core that still shows both fates of the paper's agents."""
    return replace(
        paper(task),
        profile="desk",
        image_size=48,
        channels=16,
        hidden_dim=256,
        batch_size=128,
        shift_pad=2,
        render="fast",
        noise_steps=10_000,
        total_frames=61_000,
        eval_every_frames=1_000,
        eval_episodes=1,
        final_episodes=5,
        good_return=250.0,
        bad_return=60.0,
    )


PROFILES: Mapping[str, Callable[[str], TrainConfig]] = {"paper": paper, "desk": desk}
