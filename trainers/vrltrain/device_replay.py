"""A replay whose images a GPU keeps, too, so that batches are gathered and shifted there."""

import math
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vrlprobe.device import check_device, send
from vrltrain.config.settings import TrainConfig
from vrltrain.replay import Batch, Replay, n_records

ROOM = 4 * 2**30
"""Bytes of a GPU that a run's plain updates may need."""
BESIDE = 2 * 2**30
"""Bytes that CUDA itself, its libraries and the recorded update may take beside them."""


def room_for(config: TrainConfig) -> int:
    """How many runs of these settings their device has room for now, each with its replay's images.

    Any device but a GPU has room for one.

    Raises:
        DeviceError: torch cannot compute there.
    """
    check_device(config.device)
    if torch.device(config.device).type != "cuda":
        return 1
    kept = config.most_transitions + config.eval_every_frames // config.action_repeat
    free: int = torch.cuda.mem_get_info(config.device)[0]
    return max(1, free // _needed(kept, (3, config.image_size, config.image_size)))


def _needed(images: int, shape: tuple[int, ...]) -> int:
    """Bytes of a GPU that a run takes whose replay keeps so many images there."""
    return images * math.prod(shape) + ROOM + BESIDE


def make_replay(path: Path, device: str, **sizes: Any) -> Replay:
    """A replay, whose images a GPU keeps where the agent is on one that has room for them.

    Args:
        path: as `Replay`'s.
        device: where the agent is.
        sizes: as `Replay`'s.
    """
    if torch.device(device).type == "cuda":
        records = n_records(*(sizes[name] for name in ("capacity", "slack", "episode_steps")))
        if _needed(records, sizes["image_shape"]) <= torch.cuda.mem_get_info(device)[0]:
            with suppress(torch.cuda.OutOfMemoryError):  # another run took it in this moment
                return DeviceReplay(path, device, room=ROOM, **sizes)
            torch.cuda.empty_cache()  # of the images, where only the room was wanting
    return Replay(path, **sizes)


class DeviceReplay(Replay):
    """A replay whose images are in the file and, for sampling, on a device.

    It gives the same batches as `Replay` from the same draws. What is no image is kept in memory.

    Args:
        path: as `Replay`'s.
        device: where images are kept and batches made.
        room: bytes there that torch takes for later, so that runs which begin beside this one do
            not.
        sizes: as `Replay`'s.
    """

    def __init__(self, path: Path, device: str, *, room: int = 0, **sizes: Any) -> None:
        super().__init__(path, **sizes)
        shape = (self.n_records, *self.record["image"].shape)
        try:
            images = torch.empty(shape, dtype=torch.uint8, device=device)
            torch.empty(room, dtype=torch.uint8, device=device)
        except BaseException:
            super().close()
            raise
        self._images = images
        others = [(name, self.record[name]) for name in ("action", "reward", "discount")]
        self._others = np.zeros(self.n_records, np.dtype(others))

    def restore(self, head: int, episodes: Iterable[tuple[int, int]]) -> None:
        """Have the device hold what the file held when `head` and `episodes` were these."""
        super().restore(head, episodes)
        for start, length in self.episodes:
            records = np.empty(length + 1, self.record)
            self._read(start, records)
            for piece, at in self._pieces(records, start):
                self._keep(piece, at)

    def close(self) -> None:
        """Close the file and free the device's memory, also for other processes."""
        super().close()
        on_gpu, self._images = self._images.is_cuda, self._images.new_empty(0)
        if on_gpu:
            torch.cuda.empty_cache()

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
        starts, steps, shifts = (torch.from_numpy(values) for values in draws)
        rewards, discounts = np.zeros(size), np.ones(size)
        for ahead in range(1, n_step + 1):
            others = self._others[self._at(starts, steps + ahead).numpy()]
            rewards += discounts * others["reward"]
            discounts *= others["discount"].astype(float) * discount
        actions = self._others["action"][self._at(starts, steps + 1).numpy()]
        starts, steps, shifts = (send(of, self._images.device) for of in (starts, steps, shifts))
        return Batch(
            self._stacks(starts, steps, shifts[:, 0] - pad),
            actions,
            rewards[:, None].astype(np.float32),
            discounts[:, None].astype(np.float32),
            self._stacks(starts, steps + n_step, shifts[:, 1] - pad),
        )

    def _at(self, starts: Tensor, steps: Tensor) -> Tensor:
        """Records of steps of episodes; of those before an episode's first it is the first's."""
        return (starts + steps.clamp(min=0)) % self.n_records

    def _stacks(self, starts: Tensor, steps: Tensor, shifts: Tensor) -> Tensor:
        """Stacked images up to steps (B,) of episodes, each moved by its shift (B, 2)."""
        ahead = torch.arange(1 - self.frame_stack, 1, device=steps.device)
        at = self._at(starts[:, None], steps[:, None] + ahead)
        stacks = self._images.index_select(0, at.ravel())
        stacks = stacks.view(len(at), -1, *self._images.shape[2:])
        for axis, shift in zip((2, 3), shifts.T, strict=True):  # each a gather of its own: one of
            length = stacks.shape[axis]  # all four axes has indices of 8 bytes for every pixel
            pixels = torch.arange(length, device=steps.device)
            moved = (pixels + shift[:, None]).clamp(0, length - 1)
            index = moved.view(len(at), 1, *(-1 if i == axis else 1 for i in (2, 3)))
            stacks = stacks.gather(axis, index.expand(stacks.shape))
        return stacks
