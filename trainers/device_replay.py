"""A replay whose images a GPU keeps, too, so that batches are gathered and shifted there."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.replay import Batch, Draws, Replay

ROOM = 4 * 2**30
"""Bytes of a GPU that are left to networks and updates."""


def make_replay(path: Path, device: str, **sizes: Any) -> Replay:
    """A replay, whose images a GPU keeps where the agent is on one that has room for them.

    Args:
        path: as `Replay`'s.
        device: where the agent is.
        sizes: as `Replay`'s.
    """
    replay = Replay(path, **sizes)
    shape = (replay.n_records, *replay.record["image"].shape)
    if torch.device(device).type != "cuda" or not _has_room(device, math.prod(shape)):
        return replay
    try:
        images = torch.empty(shape, dtype=torch.uint8, device=device)
    except torch.cuda.OutOfMemoryError:  # another run took the room in this moment
        return replay
    replay.close()
    return DeviceReplay(path, images, **sizes)


def _has_room(device: str, needed: int) -> bool:
    free: int = torch.cuda.mem_get_info(device)[0]
    return needed + ROOM <= free


class DeviceReplay(Replay):
    """A replay whose images are in the file and, for sampling, on a device.

    It gives the same batches as `Replay` from the same draws. What is no image is kept in memory.

    Args:
        path: as `Replay`'s.
        images: room for an image a record, uint8 (n_records, 3, H, W), on the device.
        sizes: as `Replay`'s.
    """

    def __init__(self, path: Path, images: torch.Tensor, **sizes: Any) -> None:
        super().__init__(path, **sizes)
        self._images = images
        others = [(name, self.record[name]) for name in ("action", "reward", "discount")]
        self._others = np.zeros(self.n_records, np.dtype(others))

    def restore(self, head: int, episodes: Iterable[tuple[int, int]]) -> None:
        """Have the device hold what the file held when `head` and `episodes` were these."""
        super().restore(head, episodes)
        for start, length in self.episodes:
            records = np.empty(length + 1, self.record)
            self._read(start, records)
            whole = self.n_records - start
            self._keep(records[:whole], start)
            self._keep(records[whole:], 0)

    def _write(self, records: np.ndarray, at: int) -> None:
        super()._write(records, at)
        self._keep(records, at)

    def _keep(self, records: np.ndarray, at: int) -> None:
        """Have what the file holds from record `at` on here, too."""
        here = slice(at, at + len(records))
        self._images[here] = torch.from_numpy(np.ascontiguousarray(records["image"]))
        for name in self._others.dtype.names or ():
            self._others[name][here] = records[name]

    def sample(
        self, size: int, n_step: int, discount: float, rng: np.random.Generator, pad: int = 0
    ) -> Batch:
        """As `Replay.sample`, with observations on the device."""
        draws = self._draw(size, n_step, rng, pad)
        rewards, discounts = np.zeros(size), np.ones(size)
        for ahead in range(1, n_step + 1):
            others = self._others[self._at(draws, ahead)]
            rewards += discounts * others["reward"]
            discounts *= others["discount"].astype(float) * discount
        return Batch(
            self._stacks(draws, 0, draws.shifts[:, 0] - pad),
            self._others["action"][self._at(draws, 1)],
            rewards[:, None].astype(np.float32),
            discounts[:, None].astype(np.float32),
            self._stacks(draws, n_step, draws.shifts[:, 1] - pad),
        )

    def _at(self, draws: Draws, ahead: int | np.ndarray) -> np.ndarray:
        """Records `ahead` of the draws' steps; before an episode's first it is the first."""
        steps = np.maximum(np.add.outer(draws.steps, ahead), 0)
        starts = draws.starts.reshape(-1, *[1] * (steps.ndim - 1))
        records: np.ndarray = (starts + steps) % self.n_records
        return records

    def _stacks(self, draws: Draws, ahead: int, shifts: np.ndarray) -> torch.Tensor:
        """Stacked images `ahead` of the draws' steps, each moved by its shift (B, 2)."""
        colours, height, width = self._images.shape[1:]
        newest = np.arange(1 - self.frame_stack, 1) + ahead
        at = self._at(draws, newest).repeat(colours, axis=1)
        channel = np.tile(np.arange(colours), self.frame_stack)
        rows, columns = (
            np.clip(np.arange(length) + shift[:, None], 0, length - 1)
            for length, shift in zip((height, width), shifts.T, strict=True)
        )
        index = (
            at[:, :, None, None],
            channel[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None],
        )
        return self._images[tuple(torch.from_numpy(i).to(self._images.device) for i in index)]
