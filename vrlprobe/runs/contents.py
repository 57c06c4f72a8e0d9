"""What a run file holds, read and checked by the reader of its format version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.runs import guard
from vrlprobe.runs.schema import COMMITTED, CONFIG, FRAME, PROVENANCE, Layout
from vrlprobe.runs.state import State

MOST_FRAMES = 2**53
"""More than any training has, and whole numbers below it are exact as floats, too."""


@dataclass(frozen=True, eq=False)
class Contents:
    """An open file, up to the checkpoints that were committed when it was read; see `Run`."""

    file: h5py.File
    state: State
    layout: Layout
    datasets: Mapping[str, h5py.Dataset]
    """Those that grow, checked, by path."""
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    frames: NDArray[np.int64]


def version_1(path: Path, file: h5py.File, state: State) -> Contents:
    """Read a file of version 1. Nothing large is read.

    Raises:
        FormatError, IntegrityError, UnsafeFileError: see `vrlprobe.open_run`.
    """
    count = _committed(path, file)  # before any other dataset
    layout = guard.read_layout(file)
    guard.check_names(file, layout)
    datasets = growing(file, layout, count)
    for name, labels in layout.coords.items():
        guard.read_coordinate(file, name, labels)
    config = MappingProxyType(guard.read_json(file, CONFIG))
    provenance = MappingProxyType(guard.read_json(file, PROVENANCE))
    frames = first_rows(datasets[FRAME], count)
    if np.any(frames[1:] <= frames[:-1]):
        raise IntegrityError(f"{path}: the checkpoints' frames are not ascending")
    for frame in frames[[0, -1]] if count else ():
        if not 0 <= frame < MOST_FRAMES:
            raise IntegrityError(f"{path}: a checkpoint is at frame {frame}")
    frames.setflags(write=False)
    return Contents(file, state, layout, datasets, config, provenance, frames)


READERS: Mapping[int, Callable[[Path, h5py.File, State], Contents]] = {1: version_1}


def _committed(path: Path, file: h5py.File) -> int:
    committed = guard.open_dataset(file, COMMITTED, "<i8")
    if committed.shape != (1,):
        raise FormatError(f"{path}: {COMMITTED!r} has shape {committed.shape}, not (1,)")
    count = int(guard.read_region(committed, (slice(0, 1),))[0])
    if count < 0:
        raise IntegrityError(f"{path}: {count} checkpoints are committed")
    return count


def growing(file: h5py.File, layout: Layout, count: int) -> dict[str, h5py.Dataset]:
    """The datasets that grow by path, checked to have so many checkpoints."""
    return {
        path: guard.open_growing(file, path, spec, count)
        for path, spec in layout.datasets().items()
    }


def first_rows(dataset: h5py.Dataset, count: int) -> NDArray[Any]:
    """The first rows of a dataset that grows, checked; raises IntegrityError."""
    if not count:
        return np.empty((0, *dataset.shape[1:]), dataset.dtype)
    whole = [slice(0, size) for size in dataset.shape[1:]]
    return guard.read_region(dataset, (slice(0, count), *whole))
