"""The training loop: whole episodes between evaluations, each of which becomes a checkpoint."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vrlprobe.agents.drqv2 import NORM_LAYERS, PARTS, DrQV2Agent
from vrlprobe.collapse.rule import Attempt
from vrlprobe.device import check_device, send
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.record import record_episode
from vrlprobe.errors import VrlprobeError
from vrlprobe.metrics.actions import action_std
from vrlprobe.runs.episode import Episode
from vrltrain.config.settings import TrainConfig
from vrltrain.device_replay import make_replay
from vrltrain.drqv2 import Learner, resolve_precision
from vrltrain.inits import Init
from vrltrain.perturb import dormant_share, perturb, perturb_factor
from vrltrain.players import make_players
from vrltrain.replay import Batch, Replay

NormBatch = tuple[np.ndarray, np.ndarray]
"""Observations uint8 (n, channels, height, width) and clipped noise float32 (n, n_actions)."""

LOG: dict[str, tuple[str, ...]] = {
    "step": (),
    "updates": (),
    "attempt": (),
    "rule_streak": (),
    "perturb_factor": (),
    "episode_return": (),
    "train_return": (),
    "noise_std": (),
    "action_spread": (),
    "critic_loss": (),
    "actor_loss": (),
    "q_mean": (),
    "grad_norm": ("layer",),
    "grad_norm_train": ("layer",),
    "grad_rms": ("weight",),
    "adam_rms": ("weight",),
    "weight_norm": ("weight",),
    "pre_tanh": ("tanh",),
    "pre_tanh_spread": ("tanh",),
    "q_spread": (),
    "frames_per_second": (),
    "elapsed_seconds": (),
}
"""Columns of a run's log and their dimensions beside the frame.

Per weight matrix or kernel: root mean square of its gradient since the last row, and of what Adam
divides it by; Frobenius norm. Per tanh of actor and critic, over the observations of the stored
batch: mean magnitude of what enters it, and its standard deviation over observations (mean over
units). `q_spread`: standard deviation of Q over `Q_ACTIONS` uniform actions (mean over the same
observations).
"""

Q_ACTIONS = 16

EVALUATION, BATCH = 1, 2
"""Which of a run's streams a random number is from that no training draws from."""

RESET_PARTS = {"all": PARTS, "mlp": ("actor", "critic", "critic_target"), "cnn": ("encoder",)}
"""The networks that a value of the setting `reset_parts` starts again."""

TIMINGS = ("frames_per_second", "elapsed_seconds")
"""The columns in which a resumed run differs from an unbroken one."""


@dataclass
class Playing:
    """An episode in progress: an image before the first step and after each."""

    images: list[np.ndarray]
    actions: list[np.ndarray] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    discounts: list[float] = field(default_factory=list)
    over: bool = False


def compute_the_same_every_time(device: str) -> None:
    """Have a GPU take the same kernels each time, and full products in float32.

    Also beside bfloat16 updates: actions and logged gradient norms are float32's.
    """
    where = torch.device(device)
    if where.type == "cuda" and where.index is not None:  # else torch looks at the first one, too
        torch.cuda.set_device(where)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


Progress = Callable[["Training"], None]
"""Told where a training stands after every episode and evaluation; an error it raises stops it."""


def quiet(_: Any) -> None:
    """No progress."""


class Training:
    """One training in progress: environments, networks, replay and every random stream.

    Args:
        config: the settings; `precision` may still be `auto`.
        replay_path: where the replay lies.
        init: the networks to begin with; blank ones if None.
    """

    def __init__(self, config: TrainConfig, replay_path: Path, init: Init | None = None) -> None:
        check_device(config.device)
        torch.set_num_threads(config.threads)  # their number decides how sums are rounded
        precision = resolve_precision(config.precision, config.device)
        self.config = replace(config, precision=precision)
        compute_the_same_every_time(config.device)
        seed = int(np.random.SeedSequence(config.seed).generate_state(1)[0])
        self.env = PixelEnv(seed=seed, **config.env_settings)
        self.eval_env = PixelEnv(**config.env_settings)  # seeded at each evaluation
        self.players = make_players(config)
        if config.n_step > self.env.episode_steps:
            raise VrlprobeError(
                f"n_step is {config.n_step}, but an episode of {config.task} has "
                f"{self.env.episode_steps} agent steps: nothing could be learned from it"
            )
        try:
            config.check_rule(self.env.episode_steps * config.action_repeat)
        except ValueError as error:
            raise VrlprobeError(str(error)) from error
        self.agent = self._blank_agent(config.seed).to(config.device)
        if init:
            redraw = config.init_blanks == "redraw"
            self.agent.load_named_tensors(init.networks(self.agent) if redraw else init.parameters)
        self.learner = Learner(self.agent, self.config)
        self.rng = np.random.default_rng(config.seed)
        self.replay = self._make_replay(replay_path)
        self.step = 0
        self.attempt, self.rule = Attempt(), config.rule
        self.perturb_factor = float("nan")
        self.elapsed = 0.0
        self.train_returns: list[float] = []
        self.last_return = float("nan")
        self.checkpoints = 0
        self.evaluated = self.evaluating = 0  # episodes of the evaluation at hand: played, of all
        self._clock = time.perf_counter()
        self.rate = float("nan")

    def _blank_agent(self, seed: int) -> DrQV2Agent:
        torch.manual_seed(seed)
        sizes = {**self.config.stored(), "action_dim": self.env.n_actions}
        return DrQV2Agent.from_config(sizes).eval()  # it has nothing that trains otherwise

    def _make_replay(self, path: Path) -> Replay:
        config, longest = self.config, self.env.episode_steps
        return make_replay(
            path,
            config.device,
            capacity=config.most_transitions,
            slack=config.eval_every_frames // config.action_repeat + longest,
            episode_steps=longest,
            image_shape=(3, config.image_size, config.image_size),
            n_actions=self.env.n_actions,
            frame_stack=config.frame_stack,
        )

    @property
    def frame(self) -> int:
        """Environment frames so far, action repeat included."""
        return self.step * self.config.action_repeat

    @property
    def age(self) -> int:
        """Agent steps of this attempt."""
        return self.step - self.attempt.begun // self.config.action_repeat

    @property
    def std(self) -> float:
        """The exploration noise's standard deviation now."""
        restarts = self.config.reset_noise == "restart"
        return self.config.noise_std(self.age if restarts else self.step)

    @property
    def begins_empty(self) -> bool:
        """Whether this attempt began with an empty replay, to be filled before the first update."""
        return self.attempt.number == 1 or self.config.reset_replay == "clear"

    def play_until(self, frame: int, progress: Progress) -> None:
        """Train through whole episodes until `frame` is reached; `progress` after each."""
        begun, at = time.perf_counter(), self.frame
        while self.frame < frame:
            self._play_episode()
            progress(self)
        seconds = time.perf_counter() - begun
        self.rate = (self.frame - at) / seconds if self.frame > at else float("nan")

    def restart(self) -> None:
        """Begin the next attempt, in random streams of its own drawn from the run's seed."""
        config = self.config
        self.attempt = Attempt(self.attempt.number + 1, self.frame)
        streams = np.random.SeedSequence([config.seed, self.attempt.number])
        agent, noise, env, rng = (int(seed) for seed in streams.generate_state(4))
        self.learner.restart(self._blank_agent(agent), RESET_PARTS[config.reset_parts], noise)
        self.env.random_state.seed(env)
        self.rng = np.random.default_rng(rng)
        if config.reset_replay == "clear":
            self.replay.clear()

    def _play_episode(self) -> None:
        episode = self.begin_episode()
        while not episode.over:
            self.play_step(episode)
        self.end_episode(episode)

    def begin_episode(self) -> Playing:
        """Reset the environment."""
        self.env.reset()
        return Playing([self.env.image])

    def play_step(self, episode: Playing) -> None:
        """One agent step, with the update that is due before it."""
        action = self.choose()
        self._update()
        result = self.env.step(action)
        self.step += 1
        episode.images.append(self.env.image)
        episode.actions.append(action)
        episode.rewards.append(result.reward)
        episode.discounts.append(result.discount)
        episode.over = result.last

    def end_episode(self, episode: Playing) -> None:
        """Move a finished episode into the replay, if a return of n steps fits into it."""
        actions, rewards = np.stack(episode.actions), np.array(episode.rewards)
        if len(actions) >= self.config.n_step:
            self.replay.add(np.stack(episode.images), actions, rewards, np.array(episode.discounts))
        self.train_returns.append(float(np.sum(rewards)))

    def choose(self) -> np.ndarray:
        """The next action: uniform at the start of an attempt, then the noisy actor's."""
        if self.begins_empty and self.age < self.config.exploration_steps:
            return self.rng.uniform(-1, 1, self.env.n_actions).astype(np.float32)
        action = self.learner.explore(self.env.observation, self.std)
        if not np.isfinite(action).all():
            raise VrlprobeError(
                f"the agent's action is no number at frame {self.frame}: its training diverged"
            )
        return action

    def _update(self) -> None:
        config = self.config
        if self.begins_empty and self.age * config.action_repeat < config.seed_frames:
            return
        if self.step % config.update_every_steps == 0 and len(self.replay):
            batch = self.sample()
            if config.perturb_steps and self.step % config.perturb_steps == 0:
                self.perturb(batch)
            self.learner.update(batch, self.std)

    def sample(self) -> Batch:
        """A batch for an update: augmented transitions from the replay."""
        config = self.config
        return self.replay.sample(
            config.batch_size, config.n_step, config.discount, self.rng, config.shift_pad
        )

    def perturb(self, batch: Batch) -> None:
        """DrM's perturbation, as strong as a batch shows dormant units."""
        features = self.learner.features(send(batch.observations, self.learner.device))
        self.perturb_factor = perturb_factor(dormant_share(self.agent.actor, features), self.config)
        streams = np.random.SeedSequence([self.config.seed, self.attempt.number, self.step])
        blank = self._blank_agent(int(streams.generate_state(1)[0]))
        perturb(self.learner, blank, self.perturb_factor)

    def evaluate(self, episodes: int, images: int, progress: Progress = quiet) -> list[Episode]:
        """Play evaluation episodes with the mean action; `progress` after each.

        The first `images` keep their images.
        """

        def played() -> None:
            self.evaluated += 1
            progress(self)

        self.evaluating = episodes
        self.eval_env.random_state.seed(self.stream(EVALUATION).integers(2**32, size=4))
        try:
            if self.players:
                return self.players.play(self.eval_env, self.agent, episodes, images, played)
            found = []
            for index in range(episodes):
                found.append(
                    record_episode(self.eval_env, self.agent.act, keep_images=index < images)
                )
                played()
            return found
        finally:
            self.evaluated = self.evaluating = 0

    def stream(self, purpose: int) -> np.random.Generator:
        """Random numbers of this evaluation alone, so that evaluating changes no training.

        Args:
            purpose: `EVALUATION` or `BATCH`.
        """
        return np.random.default_rng([self.config.seed, self.frame, purpose])

    def norm_batch(self) -> NormBatch | None:
        """Replay observations and clipped noise for the gradient norm; None without a replay."""
        size = self.config.norm_batch_size
        if len(self.replay) < size:
            return None
        rng = self.stream(BATCH)
        batch = self.replay.sample(size, 1, self.config.discount, rng)
        clip = self.config.noise_clip
        noise = rng.standard_normal((size, self.env.n_actions), np.float32) * np.float32(self.std)
        observations = torch.as_tensor(batch.observations).cpu().numpy()
        return observations, noise.clip(-clip, clip)

    def log_row(self, episodes: list[Episode], batch: NormBatch | None) -> dict[str, Any]:
        """The row of `LOG` that belongs to an evaluation just played."""
        norms = np.full(len(NORM_LAYERS), np.nan)
        spread = np.nan
        if batch is not None:
            spread = action_std(self.agent.act(batch[0]))
            if self.learner.updates:
                norms = np.array(list(self.agent.gradient_norms(*batch).values()))
        self._read_rule(spread, norms)
        returns, self.train_returns = self.train_returns, []
        factor, self.perturb_factor = self.perturb_factor, float("nan")
        self.elapsed, self._clock = self.total_seconds, time.perf_counter()
        return {
            "step": self.step,
            "updates": self.learner.updates,
            "attempt": self.attempt.number,
            "rule_streak": self.attempt.streak(self.rule),
            "perturb_factor": factor,
            "episode_return": np.mean([episode.episode_return for episode in episodes]),
            "train_return": np.mean(returns) if returns else np.nan,
            "noise_std": self.std,
            "action_spread": spread,
            "grad_norm": norms,
            **self.learner.take_means(),
            **self._networks_row(batch),
            "frames_per_second": self.rate,
            "elapsed_seconds": self.elapsed,
        }

    def _networks_row(self, batch: NormBatch | None) -> dict[str, Any]:
        """What a row tells of weights, optimizers, tanhs and values; NaN where nothing is known."""
        row: dict[str, Any] = {
            "adam_rms": self.learner.adam_rms(),
            "weight_norm": [float(w.detach().norm()) for w in self.learner.weights.values()],
        }
        if batch is None:
            return row
        entering = list(self.agent.pre_tanh(batch[0]).values())
        actions = self.stream(BATCH).uniform(-1, 1, (Q_ACTIONS, self.env.n_actions))
        values = self.agent.q_values(batch[0], actions.astype(np.float32))
        return {
            **row,
            "pre_tanh": [float(np.abs(values).mean()) for values in entering],
            "pre_tanh_spread": [float(values.std(axis=0).mean()) for values in entering],
            "q_spread": float(values.std(axis=1).mean()),
        }

    def _read_rule(self, spread: float, norms: np.ndarray) -> None:
        """Note what the rule's metric is now; NaN before the attempt's first update."""
        measurements = {f"grad_norm[{name}]": norms[i] for i, name in enumerate(NORM_LAYERS)}
        measurements["action_spread"] = spread if self.learner.updates else np.nan
        self.attempt.measurements.append(
            (self.frame, float(measurements[self.config.reset_metric]))
        )

    @property
    def total_seconds(self) -> float:
        """Seconds of work since the run began, over all resumes."""
        return self.elapsed + time.perf_counter() - self._clock

    def close(self) -> None:
        """Free environments and files."""
        if self.players:
            self.players.close()
        self.env.close()
        self.eval_env.close()
        self.learner.close()
        self.replay.close()
