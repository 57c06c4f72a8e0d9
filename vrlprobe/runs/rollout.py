"""The episodes recorded at a checkpoint, read from a run file when they are needed."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import IntegrityError
from vrlprobe.runs.episode import Episode

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


class Rollout(Sequence[Episode]):
    """The episodes recorded at a checkpoint; each is read when asked for, its images when used.

    Attributes:
        lengths: agent steps of each episode.
        n_images: images recorded of each: 0 or its steps + 1.
    """

    def __init__(self, run: "Run", row: int) -> None:
        self._run, self._row = run, row
        recorded = "rollouts/length" in run.dataset_paths
        lengths = run.read("rollouts/length", row) if recorded else np.zeros(0, np.int32)
        self.lengths: list[int] = [int(n) for n in lengths[lengths > 0]]
        n_images = run.read("rollouts/n_images", row) if recorded else lengths
        self.n_images: list[int] = [int(n) for n in n_images[: len(self.lengths)]]
        steps = run.layout.max_steps
        gaps = np.any(lengths[: len(self.lengths)] == 0)
        if gaps or np.any(lengths < 0) or np.any(lengths > steps):
            raise IntegrityError(f"{run.path}: a rollout's lengths {lengths} make no sense")
        if any(m not in (0, n + 1) for m, n in zip(self.n_images, self.lengths, strict=True)):
            raise IntegrityError(f"{run.path}: a rollout's image counts {n_images} make no sense")

    def __repr__(self) -> str:
        """`<Rollout: 16 episodes, mean return 333>`."""
        return f"<Rollout: {len(self)} episodes, mean return {self.mean_return:.0f}>"

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        """An episode, or a list of them; raises IndexError where none was recorded."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if not -len(self) <= index < len(self):
            raise IndexError(f"no episode {index}: {len(self)} were recorded at this checkpoint")
        episode = range(len(self))[index]
        n = self.lengths[episode]
        return StoredEpisode(
            lambda: self._images(episode),
            actions=self._series("actions", episode, n),
            rewards=self._series("rewards", episode, n),
            states=self._series("states", episode, n + 1),
            physics=self._series("physics", episode, n + 1),
        )

    @property
    def returns(self) -> NDArray[np.float64]:
        """float64 (n_episodes,), the sum of each episode's rewards."""
        sums = [
            np.sum(self._series("rewards", i, n), dtype=np.float64)
            for i, n in enumerate(self.lengths)
        ]
        return np.array(sums, np.float64)

    @property
    def mean_return(self) -> float:
        """The mean of `returns`, NaN where no episode was recorded."""
        return float(np.mean(self.returns)) if len(self) else float("nan")

    def _series(self, name: str, episode: int, n: int) -> NDArray[Any]:
        path = f"rollouts/{name}"
        if path not in self._run.dataset_paths:  # no actions, components or physics in this run
            return np.zeros((n, 0), np.float32 if name == "actions" else np.float64)
        return self._run.read(path, self._row, slice(episode, episode + 1), slice(0, n))[0]  # type: ignore[no-any-return]

    def _images(self, episode: int) -> NDArray[np.uint8] | None:
        if not (n := self.n_images[episode]):
            return None
        parts = slice(episode, episode + 1), slice(0, n)
        return self._run.read("rollouts/images", self._row, *parts)[0]  # type: ignore[no-any-return]


class StoredEpisode(Episode):
    """An Episode in a run file; its images are read at the first use, then kept."""

    def __init__(
        self, read_images: Callable[[], NDArray[np.uint8] | None], **arrays: NDArray[Any]
    ) -> None:
        for name, value in {**arrays, "_read_images": read_images}.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied, or sent to another process, it is an episode in memory."""
        arrays = (self.actions, self.rewards, self.states, self.physics)
        return Episode, (self.images, *arrays)

    @cached_property
    def images(self) -> NDArray[np.uint8] | None:
        """uint8 (T + 1, 3, height, width); None where they were not recorded."""
        return self._read_images()  # type: ignore[attr-defined,no-any-return]
