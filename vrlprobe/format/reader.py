"""Opens run files: growing, killed and sealed ones, by the reader of their format version."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError, IntegrityError, UnknownFrameError
from vrlprobe.format import guard
from vrlprobe.format.episode import Episode
from vrlprobe.format.filesystem import State, run_state
from vrlprobe.format.schema import (
    COMMITTED,
    CONFIG,
    DIGEST,
    FRAME,
    PROVENANCE,
    Layout,
    parameters_digest,
)

if TYPE_CHECKING:
    import xarray as xr


class Run:
    """A run file of version 1, opened for reading. Nothing large is read before it is asked for.

    A growing run shows the checkpoints committed when it was opened or last refreshed.

    Attributes:
        path: the file.
        state: 'growing' (a live writer), 'killed' (unsealed, no writer) or 'sealed'.
        layout: names and shapes of everything in the file.
        config: the trainer's settings, read-only: task, seed, profile, architecture, ...
        provenance: what made the file: versions, renderer, precision, origin.
        frames: int64 (n_checkpoints,), environment frames, action repeat included, ascending.
    """

    def __init__(self, path: Path, file: h5py.File, state: State) -> None:
        self.path = path
        self.state = state
        self._load(file)

    def _load(self, file: h5py.File) -> None:
        committed = guard.open_dataset(file, COMMITTED, "<i8")
        if committed.shape != (1,):
            raise FormatError(f"{self.path}: {COMMITTED!r} has shape {committed.shape}, not (1,)")
        count = int(guard.read_region(committed, (slice(0, 1),))[0])  # before any other dataset
        if count < 0:
            raise IntegrityError(f"{self.path}: {count} checkpoints are committed")
        self.layout: Layout = guard.read_layout(file)
        guard.check_names(file, self.layout)
        self._datasets = {
            path: guard.open_growing(file, path, spec, count)
            for path, spec in self.layout.datasets().items()
        }
        for name, labels in self.layout.coords.items():
            guard.read_coordinate(file, name, labels)
        self.config: Mapping[str, Any] = MappingProxyType(guard.read_json(file, CONFIG))
        self.provenance: Mapping[str, Any] = MappingProxyType(guard.read_json(file, PROVENANCE))
        self._file = file
        self.frames: NDArray[np.int64] = self._rows(FRAME, count)
        if np.any(np.diff(self.frames) <= 0):
            raise IntegrityError(f"{self.path}: the checkpoints' frames are not ascending")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Run {self.path.name}: {len(self.frames)} checkpoints, {self.state}>"

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def refresh(self) -> None:
        """Look again: more checkpoints, another state, or a file put in this one's place."""
        self._file.close()
        self.state, file = _open(self.path)
        with _closed_on_error(file):
            self._load(file)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the states' columns."""
        return self.layout.components

    @property
    def aliases(self) -> dict[str, str]:
        """Other names -> the component that they equal."""
        return dict(self.layout.aliases)

    @property
    def dataset_paths(self) -> tuple[str, ...]:
        """Every dataset that grows, in the order of writing."""
        return tuple(self._datasets)

    @property
    def size(self) -> int:
        """Bytes of the file now."""
        return guard.size_on_disk(self._file)

    def parameters(self, frame: int) -> dict[str, NDArray[np.float32]]:
        """The checkpoint's parameters by 'part/name', checked against its digest.

        Raises:
            UnknownFrameError: no checkpoint at this frame.
            IntegrityError: the stored bytes are not those that were written.
        """
        row = self.row(frame)
        found = {
            name: self.read(f"checkpoints/{name}", row)[...] for name in self.layout.parameters
        }
        if parameters_digest(found).hex() != self.digest(frame):
            raise IntegrityError(f"{self.path}: the checkpoint at frame {frame} is not as written")
        return found

    def digest(self, frame: int) -> str:
        """The SHA-256 of the checkpoint's parameters, in hexadecimal."""
        return self.read(DIGEST, self.row(frame)).tobytes().hex()

    def rollout(self, frame: int) -> "Rollout":
        """The evaluation episodes recorded at a checkpoint."""
        return Rollout(self, self.row(frame))

    def batch(self, frame: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]] | None:
        """The stored batch: observations uint8 (n, channels, height, width), noise (n, n_actions).

        None where the checkpoint has none.
        """
        row = self.row(frame)
        if "batch/size" not in self._datasets or not (n := int(self.read("batch/size", row)[0])):
            return None
        observations = self.read("batch/observations", row, slice(0, n))
        if not self.layout.n_actions:
            return observations, np.zeros((n, 0), np.float32)
        return observations, self.read("batch/noise", row, slice(0, n))

    @property
    def log(self) -> "xr.Dataset":
        """The log, float64 with NaN where nothing was logged; dims `frame` and the coordinates."""
        import xarray as xr  # half of this package's import time otherwise

        count = len(self.frames)
        variables = {
            name: (("frame", *dims), self._rows(f"log/{name}", count))
            for name, dims in self.layout.log.items()
        }
        coords = {name: (name, list(labels)) for name, labels in self.layout.coords.items()}
        return xr.Dataset(variables, coords={"frame": self.frames, **coords})

    def agent(self, frame: int) -> Any:
        """The checkpoint's networks, built by the class registered for its architecture.

        Raises:
            UnknownFrameError: no checkpoint at this frame.
            FormatError: no installed package knows the architecture.
        """
        parameters = self.parameters(frame)
        agent = _architecture(self).from_config(self.config)
        agent.load_named_tensors(parameters)
        return agent

    def row(self, frame: int) -> int:
        """The position of a frame's checkpoint; raises UnknownFrameError."""
        row = int(np.searchsorted(self.frames, frame))
        if row < len(self.frames) and self.frames[row] == frame:
            return row
        near = [str(f) for f in self.frames[max(row - 2, 0) : row + 2]]
        known = f"the nearest are {', '.join(near)}" if near else "the run has no checkpoint yet"
        raise UnknownFrameError(f"{self.path}: no checkpoint at frame {frame}; {known}")

    def read(self, path: str, row: int, *parts: slice) -> NDArray[Any]:
        """Read a row of a dataset, or a box in it; raises IntegrityError. (For this package.)"""
        dataset = self._datasets[path]
        rest = [slice(0, size) for size in dataset.shape[1 + len(parts) :]]
        return guard.read_region(dataset, (slice(row, row + 1), *parts, *rest))[0]  # type: ignore[no-any-return]

    def _rows(self, path: str, count: int) -> NDArray[Any]:
        dataset = self._datasets[path]
        if not count:
            return np.empty((0, *dataset.shape[1:]), dataset.dtype)
        whole = [slice(0, size) for size in dataset.shape[1:]]
        return guard.read_region(dataset, (slice(0, count), *whole))

    def dataset(self, path: str) -> h5py.Dataset:
        """The checked HDF5 dataset at one of `dataset_paths`."""
        return self._datasets[path]


class Rollout(Sequence[Episode]):
    """The episodes recorded at a checkpoint; each is read when asked for, its images when used.

    Attributes:
        n_images: int32 (n_episodes,), images recorded of each: 0 or its steps + 1.
    """

    def __init__(self, run: Run, row: int) -> None:
        self._run, self._row = run, row
        recorded = "rollouts/length" in run.dataset_paths
        lengths = run.read("rollouts/length", row) if recorded else np.zeros(0, np.int32)
        self.lengths: list[int] = [int(n) for n in lengths[lengths > 0]]
        n_images = run.read("rollouts/n_images", row) if recorded else lengths
        self.n_images: list[int] = [int(n) for n in n_images[: len(self.lengths)]]
        steps = run.layout.max_steps
        if np.any(lengths[: len(self.lengths)] <= 0) or np.any(lengths > steps):
            raise IntegrityError(f"{run.path}: a rollout's lengths {lengths} make no sense")
        if any(m not in (0, n + 1) for m, n in zip(self.n_images, self.lengths, strict=True)):
            raise IntegrityError(f"{run.path}: a rollout's image counts {n_images} make no sense")

    def __len__(self) -> int:
        return len(self.lengths)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> list[Episode]: ...
    def __getitem__(self, index: int | slice) -> Episode | list[Episode]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
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

    @cached_property
    def images(self) -> NDArray[np.uint8] | None:
        """uint8 (T + 1, 3, height, width); None where they were not recorded."""
        return self._read_images()  # type: ignore[attr-defined,no-any-return]


READERS: dict[int, Callable[[Path, h5py.File, State], Run]] = {1: Run}


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run file that is growing, was killed, or is sealed; use it as a context manager.

    Every object is checked before it is read, so a file from a stranger can be opened.

    Raises:
        FormatError: not a run, or of a version that this package does not read.
        IntegrityError: damaged bytes.
        UnsafeFileError: links, external storage, filters or sizes that no run has.
    """
    where = Path(path)
    try:
        return _open_run(where)
    except IntegrityError:  # met a writer at work; once more
        return _open_run(where)


def _open_run(path: Path) -> Run:
    state, file = _open(path)
    with _closed_on_error(file), guard.hdf5_errors(str(path)):
        version = guard.format_version(file, path)
        if version not in READERS:
            raise FormatError(
                f"{path}: format version {version}; this vrlprobe reads "
                f"{', '.join(map(str, READERS))}: install a newer one"
            )
        return READERS[version](path, file, state)


def _open(path: Path) -> tuple[State, h5py.File]:
    state = run_state(path)
    with guard.hdf5_errors(str(path)):
        try:
            return state, guard.open_file(path)
        except OSError:  # SWMR mode is refused where this process has the file open plainly
            if state != "sealed":
                raise
            return state, h5py.File(path, "r")


@contextlib.contextmanager
def _closed_on_error(file: h5py.File) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.close()
        raise


def _architecture(run: Run) -> Any:
    name = run.config.get("architecture")
    known = entry_points(group="vrlprobe.agents")
    for entry in known.select(name=str(name)):
        return entry.load()
    raise FormatError(
        f"{run.path}: architecture {name!r} is not installed; known: "
        f"{', '.join(sorted(known.names)) or 'none'}"
    )
