"""One recorded evaluation episode, and the stacked observations the agent saw in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vrlprobe._checks import check_at_least


@dataclass(frozen=True, repr=False)
class Episode:
    """An episode of T agent steps: T actions and rewards, T + 1 images and states.

    Attributes:
        images: uint8 (T + 1, 3, height, width), unstacked; None where they were not recorded.
        actions: float32 (T, n_actions), each in [-1, 1].
        rewards: float32 (T,), summed over the action repeat.
        states: float64 (T + 1, n_components), the named components of the environment's state.
        physics: float64 (T + 1, physics_dim), the simulator's full state.
    """

    images: NDArray[np.uint8] | None
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    states: NDArray[np.float64]
    physics: NDArray[np.float64]

    def __repr__(self) -> str:
        """`<Episode: 500 steps, return 333>`: the arrays would fill pages."""
        return f"<Episode: {len(self)} steps, return {self.episode_return:.0f}>"

    def __len__(self) -> int:
        """The number of agent steps, T."""
        return len(self.actions)

    @property
    def episode_return(self) -> float:
        """The sum of all rewards, in double precision."""
        return float(np.sum(self.rewards, dtype=np.float64))

    def observations(
        self, frame_stack: int = 3, indices: Sequence[int] | NDArray[np.integer] | None = None
    ) -> NDArray[np.uint8]:
        """Stack the images as the agent saw them: oldest first, the first repeated before t = 0.

        Args:
            frame_stack: images in one observation.
            indices: time steps in 0..T, negative ones counted from the end; all T + 1 if None.

        Returns:
            uint8 (n, 3 * frame_stack, height, width).

        Raises:
            ValueError: the episode holds no images, or a stack of less than one is asked for.
            IndexError: an index lies outside the episode.
        """
        if self.images is None:
            raise ValueError("this episode was recorded without images")
        return stack_images(self.images, frame_stack, indices)


def stack_images(
    images: NDArray[np.uint8],
    frame_stack: int = 3,
    indices: Sequence[int] | NDArray[np.integer] | None = None,
) -> NDArray[np.uint8]:
    """Stack single images (n_times, 3, height, width) into observations, see Episode."""
    check_at_least(1, frame_stack=frame_stack)
    n_times = len(images)
    times = np.arange(n_times) if indices is None else np.asarray(indices, dtype=np.int64)
    if np.any((times < -n_times) | (times >= n_times)):
        raise IndexError(f"a time step lies outside the episode's {n_times} images")
    times = times % n_times
    wanted = np.maximum(times[:, None] + np.arange(1 - frame_stack, 1), 0)
    stacked: NDArray[np.uint8] = images[wanted]
    return stacked.reshape(len(times), frame_stack * images.shape[1], *images.shape[2:])
