"""Where an imported checkpoint's rollouts come from: its task, played, or arrays."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vrlprobe.agents.activations import OUTPUT
from vrlprobe.analyses.shared.cache import part_key, sources_digest
from vrlprobe.analyses.shared.played import PlayedEpisodes
from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.observations import Recorded
from vrlprobe.errors import FormatError
from vrlprobe.results.dataset import Track
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.schema import parameters_digest

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
BATCH_SIZE = 256
COMPUTED_BY = ("agents", "envs")
"""Modules whose code decides what an episode looks like: another code's episodes are not taken."""


class Rollouts(Protocol):
    """Gives the episodes of each checkpoint; used in a `with`."""

    render: str
    """How the images were made, as in a run's config."""
    layout: dict[str, Any]
    """What `RunWriter.create` needs to know of the episodes."""
    provenance: dict[str, Any]

    def episodes(self, checkpoint: Checkpoint, last: bool) -> Sequence[Episode]:
        """A checkpoint's rollout."""

    def batch(self, checkpoint: Checkpoint, rollout: Sequence[Episode]) -> Batch | None:
        """What the gradient norm is computed on: observations and noise."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class _Open:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batch(self, checkpoint: Checkpoint, rollout: Sequence[Episode]) -> Batch | None:
        """None."""
        return None

    def close(self) -> None:
        """Nothing is held."""


class Nothing(_Open):
    """No rollouts."""

    render = "unknown"

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.layout: dict[str, Any] = {"frame_stack": int(checkpoint.config["frame_stack"])}
        self.provenance: dict[str, Any] = {}

    def episodes(self, checkpoint: Checkpoint, last: bool) -> Sequence[Episode]:
        """None."""
        return ()


class Given(_Open):
    """Episodes out of arrays, with the last checkpoint."""

    render = "unknown"

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.provenance: dict[str, Any] = {}
        self.layout: dict[str, Any] = {
            "components": recorded.components,
            "n_actions": recorded.episodes[0].actions.shape[1],
            "image_shape": recorded.image_shape,
            "max_episodes": len(recorded.episodes),
            "max_steps": max(map(len, recorded.episodes)),
            "frame_stack": recorded.frame_stack,
        }

    def episodes(self, checkpoint: Checkpoint, last: bool) -> Sequence[Episode]:
        """All of them with the last checkpoint, none elsewhere: it is not known who played."""
        return self._recorded.episodes if last else ()


class Played(_Open):
    """The task, played by each checkpoint's mean action as the reference evaluates it.

    Every checkpoint meets the same starts. All images are kept at the last one, and one episode's
    elsewhere.

    Raises:
        FormatError: the agent is none of this task's.
        UnknownTaskError, RenderError: the task cannot be played.
    """

    def __init__(
        self,
        task: str,
        checkpoint: Checkpoint,
        count: int,
        seed: int,
        played: PlayedEpisodes,
        n_checkpoints: int,
        track: Track = iter,
    ) -> None:
        from vrlprobe.envs.pixels import PixelEnv

        stack = int(checkpoint.config["frame_stack"])
        agent = checkpoint.agent()
        _, height, width = agent.image_shape
        _check_plays(agent, stack, task)
        self._task, self._count, self._seed, self._played = task, count, seed, played
        self.render = checkpoint.render
        self._env = env = PixelEnv(
            task,
            seed,
            image_size=height,
            frame_stack=stack,
            action_repeat=checkpoint.action_repeat,
            render=self.render,
        )
        n_actions = agent.act(np.zeros((1, *agent.image_shape), np.uint8)).shape[1]
        if env.n_actions != n_actions:
            env.close()
            raise FormatError(
                f"the agent has {n_actions} actions, {task} takes {env.n_actions}: which task was "
                "it trained on? (`task`)"
            )
        env.reset()
        self._steps = _Steps(track, n_checkpoints * count, env.episode_steps)
        self.provenance = {"renderer": env.renderer}
        self.layout: dict[str, Any] = {
            "components": env.components,
            "n_actions": env.n_actions,
            "physics_dim": len(env.physics_state),
            "image_shape": (3, height, width),
            "max_episodes": count,
            "max_steps": env.episode_steps,
            "frame_stack": stack,
            "aliases": env.aliases,
            "batch_size": BATCH_SIZE if _has_loss(checkpoint) else 0,
        }

    def episodes(self, checkpoint: Checkpoint, last: bool) -> Sequence[Episode]:
        """Played anew for each checkpoint, but for what a stopped import has played already."""
        self._env.random_state.seed(self._seed)
        made_from = {
            "code": sources_digest(COMPUTED_BY),
            "parameters": parameters_digest(checkpoint.parameters).hex(),
            "config": dict(checkpoint.config),
            "play": [self._task, self._seed, checkpoint.action_repeat, self.render],
        }
        keep = [last or index == 0 for index in range(self._count)]
        return [
            self._episode(part_key(made_from | {"episode": [index, kept]}), checkpoint, kept)
            for index, kept in enumerate(keep)
        ]

    def _episode(self, key: str, checkpoint: Checkpoint, keep_images: bool) -> Episode:
        """One that was kept, or else played now and kept."""
        from vrlprobe.envs.record import record_episode

        random = self._env.random_state
        if (found := self._played.get(key)) is not None:
            episode, state = found
            random.set_state(state)
        else:
            act = checkpoint.agent().act
            episode = record_episode(
                self._env, act, keep_images=keep_images, on_step=self._steps.one
            )
            self._played.put(key, episode, random.get_state(legacy=False))
        self._steps.next_episode()
        return episode

    def batch(self, checkpoint: Checkpoint, rollout: Sequence[Episode]) -> Batch | None:
        """Observations of the first episode, evenly spaced, and noise at the checkpoint's std.

        A training run stores some of its replay; an imported agent has none left.
        """
        if not self.layout["batch_size"] or checkpoint.noise is None:
            return None
        times = np.linspace(0, len(rollout[0]), min(BATCH_SIZE, len(rollout[0]) + 1)).astype(int)
        observations = rollout[0].observations(self.layout["frame_stack"], times)
        deviation, clip = checkpoint.noise
        rng = np.random.default_rng(self._seed)
        noise = deviation * rng.standard_normal((len(times), self.layout["n_actions"]))
        return observations, noise.clip(-clip, clip).astype(np.float32)

    def close(self) -> None:
        """Free the renderer."""
        self._steps.end()
        self._env.close()


def _has_loss(checkpoint: Checkpoint) -> bool:
    """Whether the actor's loss can be computed: there are a critic and a noise."""
    critic = any(name.startswith("critic/") for name in checkpoint.parameters)
    return critic and checkpoint.noise is not None


def _check_plays(agent: Any, stack: int, task: str) -> None:
    """Raise FormatError for an agent without actions, or for other than square colour images."""
    channels, height, width = agent.image_shape
    otherwise = "give observations as arrays (`observations`), or none (`episodes=0`)"
    if OUTPUT not in agent.layers:
        raise FormatError(
            f"the agent cannot play {task}: its actions are the layer {OUTPUT}, and its layers "
            f"are {', '.join(agent.layers)}: {otherwise}"
        )
    if channels != 3 * stack or height != width:
        raise FormatError(
            f"the agent cannot play {task}: it takes {channels} x {height} x {width} values, "
            f"{task} gives {3 * stack} x {height} x {height} ({stack} images): {otherwise}"
        )


class _Steps:
    """Steps played, out of as many as all episodes may have."""

    def __init__(self, track: Track, episodes: int, length: int) -> None:
        self._length = length
        self._done = self._episodes = 0
        self._left: Iterator[Any] = iter(track(range(episodes * length)))

    def one(self) -> None:
        """A step was played."""
        self._done += 1
        next(self._left, None)

    def next_episode(self) -> None:
        """An episode is there: it ended early, or was kept, if its steps were not counted."""
        self._episodes += 1
        while self._done < self._episodes * self._length:
            self.one()

    def end(self) -> None:
        """Nothing is played any more."""
        if close := getattr(self._left, "close", None):
            close()
