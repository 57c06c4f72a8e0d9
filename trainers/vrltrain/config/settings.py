"""What a training run is made of: every setting."""

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from vrlprobe.agents.sizes import feature_size
from vrlprobe.collapse.indicators import ACTION_STD, GRADIENT, Indicator
from vrlprobe.collapse.rule import CONSECUTIVE, Rule
from vrlprobe.errors import FormatError
from vrltrain.config.limits import check_each, check_together

DERIVED = {"rule_window", "action_dim"}
"""What a run's config has beside the settings: they follow from these and the task."""
KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
"""What settings are, by their defaults' types."""


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class TrainConfig:
    """Every setting of a run; stored whole in its file.

    Frames are environment frames, steps are agent steps (a step is `action_repeat` frames).
    `init` and `init_digest` name the networks that it began with, and are empty from scratch.
    The defaults are DrQ-v2's published ones for an easy task.
    """

    task: str = "walker_walk"
    seed: int = 0
    profile: str = "paper"
    architecture: str = "drqv2"
    init: str = ""
    init_digest: str = ""

    image_size: int = _setting(84, "height and width of the images, pixels")
    frame_stack: int = _setting(3, "images in an observation")
    action_repeat: int = _setting(2, "environment frames in an agent step")
    render: str = _setting("full", "full quality, or fast: no shadows")

    channels: int = _setting(32, "width of the convolutions")
    feature_dim: int = _setting(50, "outputs of the trunks")
    hidden_dim: int = _setting(1024, "width of the MLP layers")
    activation: str = _setting("relu", "activation of every hidden layer")

    learning_rate: float = _setting(1e-4, "learning rate of the three Adam optimizers")
    batch_size: int = _setting(256, "transitions in an update")
    n_step: int = _setting(3, "agent steps in a return")
    discount: float = _setting(0.99, "discount of one agent step")
    target_tau: float = _setting(
        0.01, "share of the critic that its target takes over in each update"
    )
    update_every_steps: int = _setting(2, "agent steps between updates")
    shift_pad: int = _setting(4, "largest random shift of the images, pixels")
    precision: str = _setting(
        "auto",
        "precision of an update's large products (convolutions, trunks, between hidden layers); "
        "auto: bfloat16 where the processor or GPU is faster with it",
    )

    device: str = _setting("cpu", "where networks are kept and updated: cpu, cuda, cuda:1 …")
    cuda_graph: bool = _setting(
        True, "on a GPU, record an update's kernels once and launch them together from then on"
    )
    threads: int = _setting(
        1, "processor threads; several runs side by side beat one run on several threads"
    )

    exploration_steps: int = _setting(2_000, "agent steps of uniform actions at the start")
    seed_frames: int = _setting(4_000, "frames before the first update")
    noise_start: float = _setting(1.0, "std of the exploration noise at the start")
    noise_end: float = _setting(0.1, "std of the exploration noise at the end")
    noise_steps: int = _setting(100_000, "agent steps over which the noise decays")
    noise_clip: float = _setting(0.3, "bound on the noise in updates")

    total_frames: int = _setting(
        1_100_000, "length of the run, frames; its last evaluation is the last one due before that"
    )
    replay_capacity: int = _setting(1_000_000, "transitions that the replay holds")
    eval_every_frames: int = _setting(
        10_000, "frames between evaluations, rounded up to whole episodes"
    )
    eval_episodes: int = _setting(10, "episodes in an evaluation")
    final_episodes: int = _setting(10, "episodes in the last evaluation")
    eval_processes: int = _setting(
        0,
        "processes that play evaluation episodes side by side, on the processor; 0: none, or up to "
        "4 with a GPU",
    )
    norm_batch_size: int = _setting(256, "observations used for the logged gradient norm")
    images: str = _setting(
        "one",
        "evaluation episodes that keep their images: one, and all at the last checkpoint; all; "
        "only those of the last checkpoint (last); or none",
    )

    reset_rule: bool = _setting(False, "start over when an attempt is stuck (paper, 5.2)")
    reset_window: int = _setting(
        0, "frames after which the rule decides; 0: as many as the noise takes to decay, if it does"
    )
    reset_metric: str = _setting("grad_norm[mlp1]", "what the rule reads")
    reset_threshold: float = _setting(
        GRADIENT.threshold,
        f"value that the metric must exceed; with --reset-metric, {ACTION_STD.threshold:g} by "
        f"default for {ACTION_STD.name}, and as shown here for gradient norms",
    )
    reset_consecutive: int = _setting(CONSECUTIVE, "evaluations in a row in which it must do so")
    reset_parts: str = _setting(
        "all", "networks to reset: all, actor and critic (mlp), encoder (cnn)"
    )
    reset_replay: str = _setting("clear", "whether the replay starts over, too")
    reset_noise: str = _setting("restart", "whether the noise schedule starts over, too")

    init_blanks: str = _setting(
        "redraw", "blank pieces of --init: redrawn with the seed, or taken as they are in the file"
    )

    perturb_steps: int = _setting(
        0, "agent steps between DrM's perturbations of the weights; 0: none (Xu et al., 2023)"
    )
    perturb_rate: float = _setting(2.0, "share of the weights given up per share of dormant units")
    perturb_min: float = _setting(0.2, "smallest share of the weights that a perturbation keeps")
    perturb_max: float = _setting(0.9, "largest share of the weights that it keeps")

    good_return: float = _setting(900.0, "return from which an agent counts as good")
    bad_return: float = _setting(30.0, "return at or below which an agent counts as bad")

    def __post_init__(self) -> None:
        check_each(self)
        check_together(self)
        feature_size(self.image_size, self.channels)
        self.check_rule(1)  # again with the length of the task's episodes once it is known

    def check_rule(self, episode_frames: int) -> None:
        """Raise ValueError for a rule that could never reset, or that would reset whatever happens.

        The latter where a window has fewer measurements than it asks for in a row: they begin after
        the first update, a gradient norm's once the replay fills its batch.

        Args:
            episode_frames: length of the task's episodes: evaluations wait for their end.
        """
        if not self.reset_rule:
            return
        at = sorted(self.evaluated_at(episode_frames))
        window = self.rule_window
        if window >= at[-1]:
            raise ValueError(
                f"the reset rule decides after {window} frames, but the last evaluation is at "
                f"{at[-1]}: it would never reset (reset_window)"
            )
        episodes = [
            -(-frames // episode_frames) for frames in (self.seed_frames, self._norm_frames)
        ]
        updated, filled = (count * episode_frames for count in episodes)
        measurements = min(
            sum(begin + updated < f <= begin + window and f >= begin + filled for f in at)
            for begin in at
            if begin + window < at[-1]
        )
        if measurements < self.reset_consecutive:
            raise ValueError(
                f"the reset rule asks for {self.reset_consecutive} evaluations in a row, a window "
                f"of {window} frames has {measurements} after the first update with a batch of "
                f"{self.norm_batch_size} (norm_batch_size): every attempt would be reset"
            )

    @property
    def _norm_frames(self) -> int:
        """Frames of an attempt after which the rule's metric can be read: a norm needs a batch."""
        reads_norm = self.reset_metric.startswith("grad_norm")
        return self.norm_batch_size * self.action_repeat if reads_norm else 0

    @property
    def rule_window(self) -> int:
        """Frames of an attempt after which the reset rule decides."""
        return self.reset_window or self.noise_steps * self.action_repeat or self.total_frames

    @property
    def rule(self) -> Rule:
        """The reset rule, whether or not it is applied."""
        indicator = Indicator(self.reset_metric, self.reset_threshold)
        return Rule(self.rule_window, indicator, self.reset_consecutive)

    @property
    def evaluation_frames(self) -> range:
        """Frames at which a checkpoint and a rollout are written; the run ends with the last."""
        return range(0, self.total_frames, self.eval_every_frames)

    @property
    def most_transitions(self) -> int:
        """Transitions that the replay will hold at most."""
        return max(1, min(self.replay_capacity, self.total_frames // self.action_repeat))

    @property
    def env_settings(self) -> dict[str, Any]:
        """What an environment of this training is made of, but for its seed."""
        names = ("task", "image_size", "frame_stack", "action_repeat", "render")
        return {name: getattr(self, name) for name in names}

    def evaluated_at(self, episode_frames: int) -> set[int]:
        """Frames of the evaluations: those due within one episode are one, at its end."""
        return {-(-due // episode_frames) * episode_frames for due in self.evaluation_frames}

    def noise_std(self, step: int) -> float:
        """Standard deviation of the exploration noise at an agent step: linear, then constant."""
        share = min(step / self.noise_steps, 1.0) if self.noise_steps else 1.0
        return self.noise_start + (self.noise_end - self.noise_start) * share

    @classmethod
    def restored(cls, stored: Mapping[str, Any], path: Path) -> Self:
        """The settings that a run file keeps; those it lacks are the defaults.

        Raises:
            FormatError: no training here can have them, or one is unknown; names the file, `path`.
        """
        known = {field.name: field for field in fields(cls)}
        own = {name: known[name] for name in known if name in stored}
        try:
            if unknown := sorted(stored.keys() - known.keys() - DERIVED):
                raise ValueError(
                    f"{unknown[0]!r} is no setting of this version ({len(unknown)} such in all)"
                )
            for name, setting in own.items():
                _check_kind(setting, stored[name])
            return cls(**{name: stored[name] for name in own})
        except ValueError as error:
            raise FormatError(
                f"{path}: nothing can be trained with its settings: {error} (another program wrote "
                "it, or another version of this one)"
            ) from error

    def stored(self) -> dict[str, Any]:
        """The mapping that a run file keeps as its config."""
        return {**asdict(self), "rule_window": self.rule_window}


def _check_kind(setting: "Field[Any]", value: Any) -> None:
    """Raise ValueError for a value of another type than a setting has."""
    kind = type(setting.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{setting.name} is {value!r}, needed {KINDS[kind]}")
