"""Opens run files: growing, killed and sealed ones, by the reader of their format version."""

import contextlib
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe._checks import as_number
from vrlprobe._text import html_table
from vrlprobe.errors import FormatError, IntegrityError, UnknownFrameError, VrlprobeError
from vrlprobe.runs import guard
from vrlprobe.runs.architectures import architecture
from vrlprobe.runs.contents import READERS, Contents, first_rows, growing
from vrlprobe.runs.logged import describe
from vrlprobe.runs.paths import as_path
from vrlprobe.runs.provenance import stated_versions
from vrlprobe.runs.rollout import Rollout as Rollout
from vrlprobe.runs.schema import DIGEST, STRETCH, from_json, parameters_digest
from vrlprobe.runs.settings import last_due
from vrlprobe.runs.state import State, run_state

if TYPE_CHECKING:
    import xarray as xr


_OPEN: weakref.WeakSet["Run"] = weakref.WeakSet()


class Run:
    """A run file opened for reading. Nothing large is read before it is asked for.

    A growing run shows the checkpoints committed when it was opened or last refreshed.

    Attributes:
        path: the file, as it was named.
        location: its absolute path, by which it is opened again whatever the folder is then.
        state: 'growing' (a live writer), 'killed' (unsealed, no writer) or 'sealed'.
        layout: names and shapes of everything in the file.
        config: the trainer's settings, read-only: task, seed, profile, architecture, ...
        provenance: what made the file: versions, renderer, precision, origin.
        frames: int64 (n_checkpoints,), environment frames, action repeat included, ascending.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = path.absolute()
        self._show(_look(path))
        _OPEN.add(self)

    def _show(self, contents: Contents) -> None:
        self._file, self._datasets = contents.file, contents.datasets
        self.state, self.layout = contents.state, contents.layout
        self.config, self.provenance = contents.config, contents.provenance
        self.frames = contents.frames
        self._returns: NDArray[np.float64] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self.state if self._file else "closed"
        return f"<Run {self.path.name}: {len(self.frames)} checkpoints, {state}>"

    def _repr_html_(self) -> str:
        shown = describe(self) if self._file else {"state": "closed"}
        return html_table(f"Run {self.path.name}", shown)

    def __reduce__(self) -> Any:
        """An open file cannot be copied, nor sent to another process."""
        raise TypeError(
            f"{self!r} is an open file, which is not copied or sent to another process: give that "
            "its path, to open it there (vrlprobe.open_run)"
        )

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def is_open(self, path: Path) -> bool:
        """Whether this run has the file open that `path` names. (For this package.)"""
        return bool(self._file) and os.path.samestat(guard.stat(self._file), path.stat())

    def open_again(self) -> None:
        """Open a closed run as it was, at the same checkpoints. (For this package.)"""
        self._file = _open(self.location)[1]
        self._datasets = growing(self._file, self.layout, len(self.frames))

    def refresh(self) -> None:
        """Look again: more checkpoints, another state, or a file put in this one's place.

        Where the file is gone, damaged or no run any more, this raises and the run stays as it is;
        it is closed if even that cannot be read.
        """
        run_state(self.location)
        same = self.is_open(self.location)
        if same:  # what HDF5 remembers of the file would be shared
            self._file.close()
        try:
            contents = _look(self.location)
        except VrlprobeError:
            if same:
                with contextlib.suppress(VrlprobeError):
                    self.open_again()
            raise
        self._file.close()
        self._show(contents)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the software that trained it; empty where the file does not say."""
        return stated_versions(self.provenance)

    @property
    def finished(self) -> bool:
        """Whether the last evaluation that was due is there, or none is known to be due."""
        due = last_due(self)
        return bool(len(self.frames)) and (due is None or int(self.frames[-1]) >= due)

    @property
    def final_returns(self) -> NDArray[np.float64]:
        """Returns of the last checkpoint's episodes, float64 (n_episodes,)."""
        return self.rollout(int(self.frames[-1])).returns

    def known_digest(self, frame: int) -> str | None:
        """Digest of the checkpoint at a frame; None where there is none."""
        return self.digest(frame) if frame in self.frames else None

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
        """Bytes of the file now; raises FormatError once closed."""
        self._check_open()
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
        """The SHA-256 of the checkpoint's parameters, in hexadecimal.

        Raises:
            UnknownFrameError: no checkpoint at this frame.
            IntegrityError: one byte throughout is no SHA-256, but has a good checksum.
        """
        found: bytes = self.read(DIGEST, self.row(frame)).tobytes()
        if len(set(found)) == 1:
            raise IntegrityError(f"{self.path}: the digest of frame {frame} is not as written")
        return found.hex()

    def rollout(self, frame: int) -> Rollout:
        """The evaluation episodes recorded at a checkpoint."""
        return Rollout(self, self.row(frame))

    def mean_return(self, frame: int) -> float:
        """The mean return at a checkpoint: of its rollout, or the log's where it has none."""
        rollout = self.rollout(frame) if self.layout.max_episodes else ()
        found = rollout.mean_return if isinstance(rollout, Rollout) else float("nan")
        if not len(rollout) and self.layout.log.get("episode_return") == ():
            return float(self.read("log/episode_return", self.row(frame)))
        return found

    @property
    def returns(self) -> NDArray[np.float64]:
        """`mean_return` at each checkpoint."""
        if self._returns is None:  # read once: every episode's rewards, of 110 checkpoints
            found = [self.mean_return(frame) for frame in self.frames.tolist()]
            self._returns = np.array(found, np.float64)
            self._returns.setflags(write=False)
        return self._returns

    def batch(self, frame: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]] | None:
        """The stored batch: observations uint8 (n, channels, height, width), noise (n, n_actions).

        None where the checkpoint has none.
        """
        row = self.row(frame)
        if "batch/size" not in self._datasets or not (n := int(self.read("batch/size", row)[0])):
            return None
        if not 0 < n <= self.layout.batch_size:
            raise IntegrityError(f"{self.path}: a batch of {n} observations at frame {frame}")
        observations = self.read("batch/observations", row, slice(0, n))
        if not self.layout.n_actions:
            return observations, np.zeros((n, 0), np.float32)
        return observations, self.read("batch/noise", row, slice(0, n))

    def stretch(self, frame: int) -> dict[str, Any]:
        """What made a checkpoint: code revision, processor …; empty where it does not say.

        Raises:
            UnknownFrameError: no checkpoint at this frame.
            FormatError: the stored bytes are not a JSON object.
        """
        row = self.row(frame)
        if STRETCH not in self._datasets:
            return {}
        blob = self.read(STRETCH, row).tobytes().rstrip(b"\0")
        return from_json(blob, f"the stretch at frame {frame}")

    @property
    def stretches(self) -> list[dict[str, Any]]:
        """The stretches of the training, in order, each with its first checkpoint's `frame`.

        Each resume begins one; consecutive ones on the same code and machine are one.
        """
        found: list[dict[str, Any]] = []
        last: dict[str, Any] = {}
        for frame in self.frames.tolist():
            stretch = self.stretch(frame)
            if stretch and stretch != last:
                found.append({"frame": frame, **stretch})
            last = stretch
        return found

    @property
    def log(self) -> "xr.Dataset":
        """The log, float64 with NaN where nothing was logged; dims `frame` and the coordinates."""
        import xarray as xr  # half of this package's import time otherwise

        count = len(self.frames)
        variables = {
            name: (("frame", *dims), first_rows(self.dataset(f"log/{name}"), count))
            for name, dims in self.layout.log.items()
        }
        coords = {name: (name, list(labels)) for name, labels in self.layout.coords.items()}
        return xr.Dataset(variables, coords={"frame": self.frames, **coords})

    def agent(self, frame: int) -> Any:
        """The checkpoint's networks, built by the class registered for its architecture.

        Raises:
            UnknownFrameError: no checkpoint at this frame.
            FormatError: no installed package knows the architecture, or the parameters are not
                those of the agent that the config describes.
        """
        parameters = self.parameters(frame)
        return self._built(lambda kind: kind.from_parameters(self.config, parameters))

    def blank_agent(self, seed: int = 0) -> Any:
        """Freshly initialised networks of the run's sizes, the same for the same seed.

        Raises:
            FormatError: no installed package knows the architecture, or the config lacks a size.
        """
        from vrlprobe.device import drawn_from  # with torch, that a log does not need

        with drawn_from(seed):
            return self._built(lambda kind: kind.from_config(self.config))

    def _built(self, build: Callable[[Any], Any]) -> Any:
        """What `build` makes with the class of the run's architecture; raises FormatError."""
        from vrlprobe.device import own_defaults

        try:
            with own_defaults():
                return build(architecture(self.config, str(self.path)))
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = f"the config lacks {error}" if isinstance(error, KeyError) else error
            raise FormatError(f"{self.path}: no agent can be built: {reason}") from error

    def row(self, frame: int) -> int:
        """The position of a frame's checkpoint; raises UnknownFrameError."""
        at = as_number(frame)
        if at is None:
            raise UnknownFrameError(f"{self.path}: a frame is a number, not {str(frame)[:40]!r}")
        row = int(np.searchsorted(self.frames, at))
        if row < len(self.frames) and self.frames[row] == at:
            return row
        near = [str(f) for f in self.frames[max(row - 2, 0) : row + 2]]
        known = f"the nearest are {', '.join(near)}" if near else "the run has no checkpoint yet"
        raise UnknownFrameError(f"{self.path}: no checkpoint at frame {frame}; {known}")

    def read(self, path: str, row: int, *parts: slice) -> NDArray[Any]:
        """Read a row of a dataset, or a box in it; raises IntegrityError. (For this package.)"""
        dataset = self.dataset(path)
        rest = [slice(0, size) for size in dataset.shape[1 + len(parts) :]]
        return guard.read_region(dataset, (slice(row, row + 1), *parts, *rest))[0]  # type: ignore[no-any-return]

    def dataset(self, path: str) -> h5py.Dataset:
        """The checked HDF5 dataset at one of `dataset_paths`; raises FormatError once closed."""
        self._check_open()
        return self._datasets[path]

    def _check_open(self) -> None:
        if not self._file:
            raise FormatError(f"{self.path} is closed: open it again (vrlprobe.open_run)")


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a run file that is growing, was killed, or is sealed; use it as a context manager.

    Every object is checked before it is read, so a file from a stranger can be opened.

    Raises:
        FormatError: not a run, or of a version that this package does not read.
        IntegrityError: damaged bytes.
        UnsafeFileError: links, external storage, filters or sizes that no run has.
    """
    return Run(as_path(path))


def _look(path: Path) -> Contents:
    """What a file holds now; raises as `open_run`."""
    try:
        return _read(path)
    except IntegrityError:  # perhaps met a writer at work, or what HDF5 remembers of the file
        with _others_closed(path):
            return _read(path)


@contextlib.contextmanager
def _others_closed(path: Path) -> Iterator[None]:
    """Close the runs that this process has open on a file, and open them again afterwards.

    HDF5 keeps one memory of a file for all its handles in a process; while one is open, another
    gets metadata from before the last commits.
    """
    others = [run for run in _OPEN if run.is_open(path)]
    for run in others:
        run.close()
    try:
        yield
    finally:
        for run in others:
            run.open_again()


def _read(path: Path) -> Contents:
    state, file = _open(path)
    try:
        with guard.hdf5_errors(str(path)):
            version = guard.format_version(file, path)
            if version not in READERS:
                raise FormatError(
                    f"{path}: format version {version}; this vrlprobe reads "
                    f"{', '.join(map(str, READERS))}: install a newer one"
                )
            return READERS[version](path, file, state)
    except BaseException:
        file.close()
        raise


def _open(path: Path) -> tuple[State, h5py.File]:
    state = run_state(path)
    with guard.hdf5_errors(str(path)):
        try:
            return state, guard.open_file(path)
        except OSError:  # SWMR mode is refused where this process has the file open plainly
            if state != "sealed":
                raise
            return state, h5py.File(path, "r")
