"""Writes run files: everything is created first, then rows are only added, one a commit."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.runs import build, rows
from vrlprobe.runs.atomic import reason
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.guard import stat
from vrlprobe.runs.locks import RunLock, hold
from vrlprobe.runs.mounts import warn_if_network
from vrlprobe.runs.paths import as_path
from vrlprobe.runs.provenance import with_versions
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.schema import (
    COMMITTED,
    CONFIG,
    DIGEST,
    FRAME,
    LAYOUT,
    PROVENANCE,
    Layout,
    parameters_digest,
    to_json,
)
from vrlprobe.runs.state import run_state


class RunWriter:
    """A run file that is being written; made by `create` or `append`, best used in a `with`.

    A commit is all or nothing: what is wrong with its arguments is found before anything is
    written, and a checkpoint counts only when `committed`, written last, says so. If writing
    itself fails (a full disk), the file is left as it stood, like a killed one, and the writer
    refuses to go on: make room, then `vrlprobe salvage` and `RunWriter.append`.
    """

    def __init__(self, path: Path, file: h5py.File, lock: RunLock, layout: Layout) -> None:
        self.path, self._location = path, path.absolute()
        self.layout = layout
        self._file, self._lock, self._closed = file, lock, False
        hold(file.id.get_vfd_handle())
        self._datasets = {name: file[name] for name in layout.datasets()}
        self._committed = file[COMMITTED]
        self._count = int(self._committed[0])
        self.last_frame = int(self._datasets[FRAME][self._count - 1]) if self._count else None

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        config: Mapping[str, Any],
        parameters: Mapping[str, Any],
        components: Sequence[str] = (),
        n_actions: int = 0,
        physics_dim: int = 0,
        image_shape: tuple[int, int, int] | None = None,
        max_episodes: int = 0,
        max_steps: int = 0,
        batch_size: int = 0,
        frame_stack: int = 3,
        log: Mapping[str, Sequence[str]] | None = None,
        coords: Mapping[str, Sequence[str]] | None = None,
        aliases: Mapping[str, str] | None = None,
        stretch_bytes: int = 0,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """Create a run file; nothing can be added to its structure later.

        Args:
            path: must not exist.
            config: the trainer's settings, JSON values; readers use task, seed, profile and
                architecture, among others.
            parameters: 'part/name' -> anything with a `.shape`.
            log: name -> its dimensions beside `frame`; `coords` gives each one's labels.
            provenance: what made the run; package versions are added where it has none.

        The other arguments are those of `Layout`.

        Raises:
            FormatError: the path exists, is being written, or an argument makes no sense.
        """
        layout = Layout(
            parameters={k: tuple(int(n) for n in v.shape) for k, v in parameters.items()},
            components=tuple(components),
            n_actions=n_actions,
            physics_dim=physics_dim,
            image_shape=image_shape,
            max_episodes=max_episodes,
            max_steps=max_steps,
            batch_size=batch_size,
            frame_stack=frame_stack,
            log={k: tuple(v) for k, v in (log or {}).items()},
            coords={k: tuple(v) for k, v in (coords or {}).items()},
            aliases=dict(aliases or {}),
            stretch_bytes=stretch_bytes,
        )
        return cls.from_layout(path, layout, config, with_versions(provenance or {}))

    @classmethod
    def from_layout(
        cls,
        path: str | os.PathLike[str],
        layout: Layout,
        config: Mapping[str, Any],
        provenance: Mapping[str, Any],
    ) -> Self:
        """Create a run file of a given layout, as `create` does."""
        where = as_path(path)
        blobs = {
            CONFIG: to_json(config, "the config"),
            PROVENANCE: to_json(provenance, "the provenance"),
            LAYOUT: layout.to_json(),
        }
        warn_if_network(where)
        lock = _lock(where)
        try:
            return cls(where, build.create(where, layout, blobs), lock, layout)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def append(cls, path: str | os.PathLike[str]) -> Self:
        """Go on with a sealed run (of a killed one: salvage it first).

        Raises:
            FormatError: the run is growing, killed, or open elsewhere.
        """
        where = as_path(path)
        if (state := run_state(where)) != "sealed":
            hint = "wait for its writer" if state == "growing" else "salvage it first"
            raise FormatError(f"{where}: the run is {state}, so it cannot be continued: {hint}")
        warn_if_network(where)
        lock = _lock(where)
        try:
            with open_run(where) as run:
                layout = run.layout
            return cls(where, build.reopen(where, layout), lock, layout)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(verify=kind is None)

    def __len__(self) -> int:
        """The number of committed checkpoints."""
        return self._count

    def commit(
        self,
        frame: int,
        parameters: Mapping[str, Any],
        episodes: Sequence[Episode] = (),
        log: Mapping[str, Any] | None = None,
        batch: tuple[NDArray[np.uint8], NDArray[np.float32]] | None = None,
        stretch: Mapping[str, Any] | None = None,
    ) -> None:
        """Add one checkpoint; when this returns, it is on the disk.

        Args:
            frame: environment frames so far, greater than the last commit's.
            parameters: 'part/name' -> float32 array or torch tensor; exactly the run's names.
            episodes: the rollout; images may be left out of any episode.
            log: values by name; entries that are left out become NaN.
            batch: observations uint8 (n, channels, height, width) and noise float32
                (n, n_actions), n at most the run's batch_size.
            stretch: what made this checkpoint (code revision, processor …), JSON values of at
                most the run's stretch_bytes. A run that is continued may have several.

        NaN and infinity are stored as they are.

        Raises:
            FormatError: an argument does not fit the run; nothing was written.
            IntegrityError: writing failed; the file stays as it was and the writer is closed. Or
                the file has lost its name, by which its lock and its readers know it.
        """
        if self._closed:
            raise FormatError(f"{self.path}: the writer is closed")
        self._check_in_place()
        rows.check_frame(frame, self.last_frame)
        arrays = rows.parameter_rows(self.layout, parameters)
        pieces: dict[str, rows.Pieces] = {
            **{f"checkpoints/{name}": [((), array)] for name, array in arrays.items()},
            **rows.rollout_rows(self.layout, episodes),
            **rows.batch_rows(self.layout, batch),
            DIGEST: [((), np.frombuffer(parameters_digest(arrays), np.uint8))],
            **rows.stretch_rows(self.layout, stretch),
            **rows.log_rows(self.layout, frame, log or {}),
        }
        try:
            self._write(pieces)
        except BaseException as error:
            self._closed = True
            build.abandon(self._file)
            self._lock.release()
            if not isinstance(error, OSError | RuntimeError):
                raise
            raise IntegrityError(
                f"{self.path}: the checkpoint at frame {frame} was not written "
                f"({reason(error)}); the {self._count} before it are safe: "
                "salvage the run to go on"
            ) from error
        self.last_frame = frame

    def _write(self, pieces: Mapping[str, rows.Pieces]) -> None:
        row = self._count
        for name, dataset in self._datasets.items():
            dataset.resize(row + 1, axis=0)
            for index, array in pieces[name]:
                dataset[(row, *index)] = array
            dataset.flush()
        self._sync()
        self._committed[0] = row + 1
        self._committed.flush()
        self._sync()
        self._count += 1

    def _check_in_place(self) -> None:
        """Raise IntegrityError where the file was moved, removed or replaced meanwhile."""
        with contextlib.suppress(OSError):
            if os.path.samestat(stat(self._file), self._location.stat()):
                return
        raise IntegrityError(
            f"{self.path}: moved, removed or replaced while it was written, after {self._count} "
            "checkpoints: nothing is added; put it back to go on with it"
        )

    def _sync(self) -> None:
        os.fsync(self._file.id.get_vfd_handle())

    def close(self, verify: bool = True) -> None:
        """Seal the run and verify it; safe to call twice.

        Raises:
            IntegrityError: the sealed file does not verify.
        """
        if self._closed:
            return
        self._closed = True
        try:
            build.seal(self._file)
            if verify:
                _verify(self._location)
        finally:
            self._lock.release()


def _verify(path: Path) -> None:
    from vrlprobe.runs.verify import verify_run

    report = verify_run(path)
    if report.problems:
        raise IntegrityError(f"{path}: sealed, but {report.problems[0]}")


def _lock(path: Path) -> RunLock:
    if not path.parent.is_dir():
        raise FormatError(f"{path}: there is no folder {path.parent}")
    return RunLock(path)
