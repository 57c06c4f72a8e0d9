"""Two trainers behind one face: this one, and a checkout of the reference's.

Each does the same three things that a training consists of, and a whole training loop, with the
components that it trains with.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch

from vrlprobe.runs.episode import Episode
from vrltrain.config.settings import TrainConfig
from vrltrain.process import keep_freed_memory
from vrltrain.resume import REPLAY
from vrltrain.train import Training

LOADER_WORKERS = 4
"""Processes that load the reference's replay, as it ships; each needs an episode to begin."""


class Contestant(Protocol):
    """What is timed, `count` times over."""

    def update(self, count: int) -> None:
        """Updates, from drawing a batch to the target critic."""

    def step(self, count: int) -> None:
        """Agent steps of the environment with their images."""

    def act(self, count: int) -> None:
        """Exploring actions for one observation."""

    def loop(self, count: int) -> None:
        """Agent steps of a whole training: actions, updates every other step, the replay."""


class Ours:
    """This trainer."""

    def __init__(self, config: TrainConfig, episodes: Sequence[Episode], scratch: Path) -> None:
        keep_freed_memory()
        config = replace(config, exploration_steps=0, seed_frames=0)
        self.training = Training(config, scratch / REPLAY)
        for episode in episodes:
            assert episode.images is not None
            discounts = np.ones(len(episode.rewards))
            self.training.replay.add(episode.images, episode.actions, episode.rewards, discounts)
        self.playing = self.training.begin_episode()
        self.actions = _actions(self.training.env.n_actions)

    def update(self, count: int) -> None:
        for _ in range(count):
            self.training.learner.update(self.training.sample(), self.training.std)

    def step(self, count: int) -> None:
        for index in range(count):
            if self.training.env.step(self.actions[index % len(self.actions)]).last:
                self.training.env.reset()

    def act(self, count: int) -> None:
        for _ in range(count):
            self.training.choose()

    def loop(self, count: int) -> None:
        for _ in range(count):
            if self.playing.over:
                self.training.end_episode(self.playing)
                self.playing = self.training.begin_episode()
            self.training.play_step(self.playing)


class Reference:
    """facebookresearch/drqv2 with its own networks, update, replay, loader and environment.

    Its hydra and omegaconf are only for its command line; where they are missing, empty modules
    stand in. What fails under NumPy 2 and Python 3.11 is got round: its storage is given float32
    actions also at a reset, and its loaders, which cannot seed themselves, stay unseeded.
    """

    def __init__(
        self, config: TrainConfig, episodes: Sequence[Episode], scratch: Path, checkout: Path
    ) -> None:
        for name in ("hydra", "omegaconf"):
            if find_spec(name) is None:
                sys.modules[name] = ModuleType(name)
                sys.modules[name].OmegaConf = None  # type: ignore[attr-defined]
        sys.path.insert(0, str(checkout))
        import dmc  # type: ignore[import-not-found]
        import drqv2  # type: ignore[import-not-found]
        import replay_buffer  # type: ignore[import-not-found]
        from dm_env import specs  # type: ignore[import-untyped]

        torch.set_num_threads(config.threads)
        self.env = dmc.make(config.task, config.frame_stack, config.action_repeat, config.seed)
        observed, n_actions = self.env.observation_spec(), self.env.action_spec().shape
        self.agent = drqv2.DrQV2Agent(
            observed.shape, n_actions, torch.device(config.device), config.learning_rate,
            config.feature_dim, config.hidden_dim, config.target_tau, config.exploration_steps,
            config.update_every_steps, f"linear({config.noise_start},{config.noise_end},"
            f"{config.noise_steps})", config.noise_clip, use_tb=True,
        )  # fmt: skip
        for index, episode in enumerate(episodes):
            path = scratch / f"20000101T000000_{index}_{len(episode)}.npz"
            replay_buffer.save_episode(_as_stored(episode), path)
        kinds = (("action", n_actions), ("reward", (1,)), ("discount", (1,)))
        kept = [specs.Array(shape, np.float32, name) for name, shape in kinds]
        self.storage = replay_buffer.ReplayBufferStorage((observed, *kept), scratch)
        replay_buffer._worker_init_fn = None
        loader = replay_buffer.make_replay_loader(
            scratch, config.replay_capacity, config.batch_size, LOADER_WORKERS, False,
            config.n_step, config.discount,
        )  # fmt: skip
        self.batches = iter(loader)
        self.actions = _actions(n_actions[0])
        self.steps = config.exploration_steps
        self.now = self._reset()

    def _reset(self) -> Any:
        now = self.env.reset()
        self._store(now)
        return now

    def _store(self, now: Any) -> None:
        self.storage.add(now._replace(action=now.action.astype(np.float32)))

    def update(self, count: int) -> None:
        for _ in range(count):
            self.agent.update(self.batches, 0)

    def step(self, count: int) -> None:
        for index in range(count):
            if self.env.step(self.actions[index % len(self.actions)]).last():
                self.env.reset()

    @torch.no_grad()
    def act(self, count: int) -> None:
        for _ in range(count):
            self.agent.act(self.now.observation, self.steps, eval_mode=False)

    def loop(self, count: int) -> None:
        for _ in range(count):
            if self.now.last():
                self.now = self._reset()
            with torch.no_grad():
                action = self.agent.act(self.now.observation, self.steps, eval_mode=False)
            self.agent.update(self.batches, self.steps)
            self.now = self.env.step(action)
            self._store(self.now)
            self.steps += 1


def _actions(n_actions: int) -> np.ndarray:
    """A thousand uniform actions, the same for all."""
    return np.random.default_rng(0).uniform(-1, 1, (1000, n_actions)).astype(np.float32)


def _as_stored(episode: Episode) -> dict[str, np.ndarray]:
    """An episode as the reference keeps it: stacked images, a dummy transition first."""

    def led_by_zero(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros_like(values[:1]), values]).astype(np.float32)

    return {
        "observation": episode.observations(),
        "action": led_by_zero(episode.actions),
        "reward": led_by_zero(episode.rewards[:, None]),
        "discount": led_by_zero(np.ones((len(episode), 1))),
    }
