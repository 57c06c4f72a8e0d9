"""`vrltrain profile`: a short training with the real components, timed by phase and as a whole."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vrlprobe.errors import VrlprobeError
from vrltrain.breakdown import Breakdown, Part, break_down
from vrltrain.config.settings import TrainConfig
from vrltrain.costs import Cost, acting_cost, update_costs
from vrltrain.phases import Seconds, Stopwatch, stopped
from vrltrain.resume import REPLAY
from vrltrain.run import checkpoint, create_writer
from vrltrain.train import Playing, Training

WARM_UPDATES = 6
"""Updates before those that are timed: the first ones take their memory from the kernel."""

BLOCK = 4
"""Updates that are timed by phase, then as many as a whole, and so on in turn."""

SECONDS, LEAST_UPDATES = 30.0, 12
"""How long updates are timed where their number is not given, and how many there are at least."""

Progress = Callable[[str], None]


def profile(
    config: TrainConfig, folder: Path, progress: Progress, updates: int | None = None
) -> Breakdown:
    """Train for a short while and say where the time of 1,000 frames goes.

    The replay is filled as in a run, with episodes of uniform actions. Of an evaluation one episode
    is played, and counted as often as the settings say. What happens once a run is left out.

    Args:
        config: the settings.
        folder: where a replay and a run file are written for the while.
        progress: called with what is being done.
        updates: how many to time by phase, and as many again as a whole; by default as many as
            half a minute allows.

    Raises:
        VrlprobeError: the settings are for another device than the processor.
    """
    if config.device != "cpu":
        raise VrlprobeError(
            f"what happens on {config.device} cannot be timed phase by phase: only cpu is profiled"
        )
    with (
        TemporaryDirectory(prefix="vrltrain-profile-", dir=folder) as scratch,
        closing(Training(_timed(config), Path(scratch, REPLAY))) as training,
    ):
        session = Session(training, progress)
        session.fill_replay()
        session.play(updates)
        session.checkpoint(Path(scratch), config.eval_episodes)
        progress("measuring the machine")
        resolved = replace(config, precision=training.config.precision)
        return break_down(session.parts, session.costs(), session.updates, resolved)


def _timed(config: TrainConfig) -> TrainConfig:
    """The settings with an evaluation of one episode, played in this process."""
    return replace(config, eval_episodes=1, eval_processes=0)


class Session:
    """A training that is being timed, and what it has shown so far.

    Args:
        training: a fresh one.
        progress: called with what is being done.

    Attributes:
        parts: what was timed, per 1,000 frames.
        updates: how many were timed by phase.
        written: bytes of a checkpoint and of what resuming from it needs.
    """

    def __init__(self, training: Training, progress: Progress) -> None:
        self.training, self.progress = training, progress
        self.parts: list[Part] = []
        self.updates, self.written = 0, 0
        self._repeat = training.config.action_repeat
        self._update_frames = self._repeat * training.config.update_every_steps
        self._episode = Playing([], over=True)

    def fill_replay(self) -> None:
        """Play episodes until the first update is due; time how each begins and ends."""
        stopwatch, count = Stopwatch(), 0
        while self._is_filling():
            count += 1
            self.progress(f"filling the replay, episode {count}")
            with stopwatch.watch():
                episode = self.training.begin_episode()
            while not episode.over:
                self.training.play_step(episode)
            with stopwatch.watch():
                self.training.end_episode(episode)
        whole = sum(stopwatch.spent.values(), Seconds())
        self._note(stopwatch.spent, whole, count * self.training.env.episode_steps * self._repeat)

    def _is_filling(self) -> bool:
        training, config = self.training, self.training.config
        exploring = training.age < config.exploration_steps
        return exploring or training.frame < config.seed_frames or not len(training.replay)

    def play(self, updates: int | None) -> None:
        """Time updates and the steps between them, by phase and as a whole in turn."""
        self.progress("warming up")
        self._play(WARM_UPDATES)
        stopwatch, whole, begun = Stopwatch(), Seconds(), time.perf_counter()
        while self._is_wanting(updates, time.perf_counter() - begun):
            if self.updates % (10 * BLOCK) == 0:
                self.progress(f"timing updates, {self.updates} done")
            count = BLOCK if updates is None else min(BLOCK, updates - self.updates)
            with stopwatch.watch():
                self._play(count)
            with stopped() as seconds:
                self._play(count)
            whole += seconds
            self.updates += count
        self._note(stopwatch.spent, whole, self.updates * self._update_frames)

    def _is_wanting(self, updates: int | None, seconds: float) -> bool:
        if updates is not None:
            return self.updates < updates
        return self.updates < LEAST_UPDATES or seconds < SECONDS

    def _play(self, updates: int) -> None:
        """Go on for so many updates; episodes that end leave the replay as it is."""
        for _ in range(updates * self.training.config.update_every_steps):
            if self._episode.over:
                self._episode = self.training.begin_episode()
            self.training.play_step(self._episode)

    def checkpoint(self, folder: Path, eval_episodes: int) -> None:
        """Time an evaluation with all that is written after it, by phase and as a whole."""
        self.progress("evaluating and writing a checkpoint")
        training, stopwatch, path = self.training, Stopwatch(), folder / "run.h5"
        with create_writer(path, training) as writer:
            before = path.stat().st_size
            with stopwatch.watch():
                checkpoint(training, writer, folder, last=False)
            state = sum(file.stat().st_size for file in folder.glob("*.npz"))
            self.written = state + path.stat().st_size - before
            self._play(1)
            self.progress("evaluating and writing another")
            with stopped() as whole:
                checkpoint(training, writer, folder, last=False)
        one = stopwatch.spent["evaluation"]
        stopwatch.spent["evaluation"] = one.scaled(eval_episodes)
        whole += one.scaled(eval_episodes - 1)
        self._note(stopwatch.spent, whole, training.config.eval_every_frames)

    def _note(self, spent: Mapping[str, Seconds], whole: Seconds, frames: int) -> None:
        """Add a part that takes so long every so many frames."""
        factor = 1000 / frames
        by_phase = {name: seconds.scaled(factor) for name, seconds in spent.items()}
        self.parts.append(Part(by_phase, whole.scaled(factor)))

    def costs(self) -> Mapping[str, Cost]:
        """What each phase of 1,000 frames takes at least, where that can be counted."""
        training, config = self.training, self.training.config
        n_actions = training.env.n_actions
        updates, steps = 1000 / self._update_frames, 1000 / self._repeat
        saved = Cost(bytes=2 * self.written).repeated(1000 / config.eval_every_frames)
        played = Cost(bytes=2 * training.replay.record.itemsize).repeated(steps)
        return {
            **{k: c.repeated(updates) for k, c in update_costs(config, n_actions).items()},
            "acting": acting_cost(config, n_actions).repeated(steps),
            "writing": saved._replace(bytes=saved.bytes + played.bytes),
        }
