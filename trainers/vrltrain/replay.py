"""Replay of whole episodes in one file of fixed-size records, sampled by plain reads.

Reads instead of a memory map keep the resident memory at one batch: pages of a mapped file count as
the process's own, 12 GB of them in a paper-size run. The page cache makes them as fast.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vrlprobe.errors import ResumeError, VrlprobeError

GO_ON = "; make room, then go on (vrltrain resume)"


class Batch(NamedTuple):
    """Transitions as the update takes them, B of them.

    Attributes:
        observations: uint8 (B, 3 * frame_stack, H, W); a tensor from a replay on a GPU.
        actions: float32 (B, n_actions).
        rewards: float32 (B, 1), discounted sum over n steps.
        discounts: float32 (B, 1), what the value of `next_observations` is multiplied by.
        next_observations: uint8, n steps later.
    """

    observations: np.ndarray | Tensor
    actions: np.ndarray
    rewards: np.ndarray
    discounts: np.ndarray
    next_observations: np.ndarray | Tensor


class Draws(NamedTuple):
    """Which transitions are in a batch, B of them, and how their images are shifted.

    Attributes:
        starts: first record of the episode (B,).
        steps: step in it (B,).
        shifts: offsets (B, 2, 2) of an observation and its successor, rows then columns, in
            0..2 * pad.
    """

    starts: np.ndarray
    steps: np.ndarray
    shifts: np.ndarray


def crop(images: np.ndarray, dy: int, dx: int, pad: int, out: np.ndarray) -> None:
    """A window of images padded by repeating their border, without making the padded copy.

    Equals padding `images` (…, H, W) by `pad` on each side and cutting H x W at row `dy`, column
    `dx`, both in 0..2 * pad; the same window for every image.
    """
    height, width = images.shape[-2:]
    sy, sx = dy - pad, dx - pad
    top, bottom = max(0, -sy), min(height, height - sy)
    left, right = max(0, -sx), min(width, width - sx)
    inner = images[..., top + sy : bottom + sy, left + sx : right + sx]
    out[..., top:bottom, left:right] = inner
    if left:
        out[..., top:bottom, :left] = inner[..., :1]
    if right < width:
        out[..., top:bottom, right:] = inner[..., -1:]
    if top:
        out[..., :top, :] = out[..., top : top + 1, :]
    if bottom < height:
        out[..., bottom:, :] = out[..., bottom - 1 : bottom, :]


def _n_step(records: np.ndarray, discount: float) -> tuple[float, float]:
    """Discounted reward of the records' steps, and the factor of the value behind them."""
    reward, factor = 0.0, 1.0
    for step_reward, step_discount in zip(records["reward"], records["discount"], strict=True):
        reward += factor * float(step_reward)
        factor *= float(step_discount) * discount
    return reward, factor


def _stacked(images: np.ndarray, at: int, stack: int) -> np.ndarray:
    """The `stack` images up to `at`, the first repeated where there are fewer."""
    if at + 1 >= stack:
        return images[at + 1 - stack : at + 1]
    return images[np.maximum(np.arange(at + 1 - stack, at + 1), 0)]


def _records(transitions: int, episode_steps: int) -> int:
    """Records of so many transitions in whole episodes of so many steps."""
    return -(-transitions // episode_steps) * (episode_steps + 1)


def n_records(capacity: int, slack: int, episode_steps: int) -> int:
    """Records of a replay that holds so many transitions in episodes of so many steps at most."""
    spare = 2 * (episode_steps + 1)
    return _records(capacity, episode_steps) + _records(slack, episode_steps) + spare


class Replay:
    """A ring of whole episodes on disk.

    Record i of an episode holds image i and the action, reward and discount that led to it; record
    0 has zeros there. The ring holds `capacity` transitions and `slack` more, so that what was
    there at the last checkpoint is not overwritten before the next. Its room is counted for the
    longest episodes; shorter ones have more first records, so that somewhat fewer transitions fit.

    Args:
        path: the file; made if missing, otherwise its records are kept.
        capacity: transitions that can be sampled; the oldest episodes leave first.
        slack: transitions that may come in between two checkpoints.
        episode_steps: the longest episode, in agent steps.
        image_shape: (3, H, W).
        n_actions: number of actions.
        frame_stack: images in an observation.

    Raises:
        ResumeError: the file is there and has another size.
    """

    def __init__(
        self,
        path: Path,
        *,
        capacity: int,
        slack: int,
        episode_steps: int,
        image_shape: tuple[int, ...],
        n_actions: int,
        frame_stack: int = 3,
    ) -> None:
        self.path, self.capacity, self.frame_stack = path, capacity, frame_stack
        self.record = np.dtype(
            [
                ("image", np.uint8, image_shape),
                ("action", np.float32, n_actions),
                ("reward", np.float32),
                ("discount", np.float32),
            ]
        )
        self.n_records = n_records(capacity, slack, episode_steps)
        self._most_live = _records(capacity, episode_steps)
        self._room: int | None = None  # records until one that the last checkpoint needs
        self.episodes: deque[tuple[int, int]] = deque()  # first record, number of transitions
        self.head = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if (found := os.fstat(self._fd).st_size) not in (0, self.nbytes):
                raise ResumeError(
                    f"{path} has {found} bytes, needed {self.nbytes}: it is not whole"
                )
            with self._named():
                os.ftruncate(self._fd, self.nbytes)
        except BaseException:
            self.close()
            raise

    @property
    def nbytes(self) -> int:
        """Size of the file when it is full, in bytes."""
        return self.n_records * self.record.itemsize

    def __len__(self) -> int:
        """Number of transitions that can be sampled."""
        return sum(length for _, length in self.episodes)

    def add(
        self,
        images: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        discounts: np.ndarray,
    ) -> None:
        """Append one finished episode of T steps: T + 1 images, T of everything else.

        Raises:
            VrlprobeError: it does not fit before what the last checkpoint needs, or on the disk.
        """
        self._take(len(images))
        records = np.zeros(len(images), self.record)
        records["image"] = images
        records["action"][1:] = actions
        records["reward"][1:] = rewards
        records["discount"][1:] = discounts
        for piece, at in self._pieces(records, self.head):
            self._write(piece, at)
        self.episodes.append((self.head, len(actions)))
        self.head = (self.head + len(records)) % self.n_records
        while len(self) - self.episodes[0][1] >= self.capacity or self._live() > self._most_live:
            self.episodes.popleft()

    def _live(self) -> int:
        """Records of the episodes that can be sampled."""
        return len(self) + len(self.episodes)

    def _take(self, records: int) -> None:
        """Count off records that are written behind the last checkpoint."""
        if self._room is None:
            return
        if records > self._room:
            raise VrlprobeError(
                f"the replay {self.path} has no room before the next checkpoint: {records} images "
                f"came, {self._room} fit, since episodes are much shorter than the task's limit; "
                "train with evaluations closer together (`eval_every_frames`)"
            )
        self._room -= records

    def restore(self, head: int, episodes: Iterable[tuple[int, int]]) -> None:
        """Have the file hold what it held when `head` and `episodes` were these."""
        self.head = head
        self.episodes = deque(episodes)
        self._room = self.n_records - self._live()

    def clear(self) -> None:
        """Forget every episode; new ones are written behind the last."""
        self.episodes.clear()

    def _pieces(self, records: np.ndarray, first: int) -> Iterator[tuple[np.ndarray, int]]:
        """Records from record `first` on as they lie in the ring: round its end in two pieces."""
        first %= self.n_records
        whole = self.n_records - first
        yield records[:whole], first
        if whole < len(records):
            yield records[whole:], 0

    def _write(self, records: np.ndarray, at: int) -> None:
        view, offset = memoryview(records.tobytes()), at * self.record.itemsize
        while view:
            with self._named(GO_ON):
                written = os.pwrite(self._fd, view, offset)
            view, offset = view[written:], offset + written

    @contextmanager
    def _named(self, advice: str = "") -> Iterator[None]:
        """An error of a descriptor lacks the file's name."""
        try:
            yield
        except OSError as error:
            raise VrlprobeError(
                f"cannot write the replay {self.path}: {error.strerror}{advice}"
            ) from error

    def _read(self, first: int, records: np.ndarray) -> None:
        """Fill `records` from record `first` on, round the end of the ring."""
        try:
            got = sum(
                os.preadv(self._fd, [piece.data], at * self.record.itemsize)
                for piece, at in self._pieces(records, first)
            )
        except OSError as error:
            raise VrlprobeError(f"cannot read the replay {self.path}: {error.strerror}") from error
        if got != records.nbytes:
            raise VrlprobeError(
                f"the replay {self.path} gave {got} bytes, needed {records.nbytes}: it was cut off"
            )

    def sample(
        self, size: int, n_step: int, discount: float, rng: np.random.Generator, pad: int = 0
    ) -> Batch:
        """Draw transitions: an episode, then a step in it, both uniformly.

        Args:
            size: number of transitions, B.
            n_step: steps of the return.
            discount: of one agent step.
            rng: source of the draws, two numbers a transition and with `pad` four more.
            pad: random shift in pixels, drawn afresh for an observation and its successor.
        """
        stack, image_shape = self.frame_stack, self.record["image"].shape
        shape = (size, 3 * stack, *image_shape[1:])
        stacks = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        actions = np.empty((size, *self.record["action"].shape), np.float32)
        rewards, discounts = np.empty((2, size, 1), np.float32)
        views = [images.reshape(size, stack, *image_shape) for images in stacks]
        space = np.empty(stack + n_step, self.record)
        draws = self._draw(size, n_step, rng, pad)
        rows = zip(*(values.tolist() for values in draws), strict=True)
        for row, (start, step, pair) in enumerate(rows):
            first = max(step - stack + 1, 0)
            now = step - first
            records = space[: now + n_step + 1]
            self._read(start + first, records)
            images = records["image"]
            for view, at, (dy, dx) in zip(views, (now, now + n_step), pair, strict=True):
                crop(_stacked(images, at, stack), dy, dx, pad, view[row])
            actions[row] = records["action"][now + 1]
            rewards[row], discounts[row] = _n_step(records[now + 1 :], discount)
        return Batch(stacks[0], actions, rewards, discounts, stacks[1])

    def _draw(self, size: int, n_step: int, rng: np.random.Generator, pad: int) -> Draws:
        which = rng.integers(len(self.episodes), size=size)
        shifts = (
            rng.integers(2 * pad + 1, size=(size, 2, 2)) if pad else np.zeros((size, 2, 2), int)
        )
        starts, lengths = np.array([self.episodes[episode] for episode in which.tolist()]).T
        return Draws(starts, rng.integers(lengths - n_step + 1), shifts)

    def sync(self) -> None:
        """Have everything that was added reach the disk, to stay there until the next `sync`."""
        with self._named(GO_ON):
            os.fsync(self._fd)
        self._room = self.n_records - self._live()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
