"""Writes run files: everything is created first, then rows are only added, one a commit."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkstemp
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.format import rows
from vrlprobe.format.episode import Episode
from vrlprobe.format.filesystem import RunLock, fsync_folder, run_state, warn_if_network
from vrlprobe.format.provenance import with_versions
from vrlprobe.format.reader import open_run
from vrlprobe.format.schema import (
    COMMITTED,
    CONFIG,
    DIGEST,
    FORMAT,
    FORMAT_VERSION,
    FRAME,
    LAYOUT,
    PROVENANCE,
    DatasetSpec,
    Layout,
    parameters_digest,
    to_json,
)

VERSIONS = ("v110", "v110")  # readable by every HDF5 since 1.10; "latest" only by the writer's own


class RunWriter:
    """A run file that is being written; made by `create` or `append`, best used in a `with`.

    A commit is all or nothing: what is wrong with its arguments is found before anything is
    written, and a checkpoint counts only when `committed`, written last, says so. If writing
    itself fails (a full disk), the file is left as it stood, like a killed one, and the writer
    refuses to go on: make room, then `vrlprobe salvage` and `RunWriter.append`.
    """

    def __init__(self, path: Path, file: h5py.File, lock: RunLock, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self._file, self._lock, self._closed = file, lock, False
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
        where = Path(path)
        blobs = {
            CONFIG: to_json(config, "the config"),
            PROVENANCE: to_json(provenance, "the provenance"),
            LAYOUT: layout.to_json(),
        }
        warn_if_network(where)
        lock = _lock(where)
        try:
            return cls(where, _create(where, layout, blobs), lock, layout)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def append(cls, path: str | os.PathLike[str]) -> Self:
        """Go on with a sealed run (of a killed one: salvage it first).

        Raises:
            FormatError: the run is growing, killed, or open elsewhere.
        """
        where = Path(path)
        if (state := run_state(where)) != "sealed":
            hint = "wait for its writer" if state == "growing" else "salvage it first"
            raise FormatError(f"{where}: the run is {state}, so it cannot be continued: {hint}")
        warn_if_network(where)
        lock = _lock(where)
        try:
            with open_run(where) as run:
                layout = run.layout
            return cls(where, _reopen(where, layout), lock, layout)
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
    ) -> None:
        """Add one checkpoint; when this returns, it is on the disk.

        Args:
            frame: environment frames so far, greater than the last commit's.
            parameters: 'part/name' -> float32 array or torch tensor; exactly the run's names.
            episodes: the rollout; images may be left out of any episode.
            log: values by name; entries that are left out become NaN.
            batch: observations uint8 (n, channels, height, width) and noise float32
                (n, n_actions), n at most the run's batch_size.

        NaN and infinity are stored as they are.

        Raises:
            FormatError: an argument does not fit the run; nothing was written.
            IntegrityError: writing failed; the file stays as it was and the writer is closed.
        """
        if self._closed:
            raise FormatError(f"{self.path}: the writer is closed")
        rows.check_frame(frame, self.last_frame)
        arrays = rows.parameter_rows(self.layout, parameters)
        pieces: dict[str, rows.Pieces] = {
            **{f"checkpoints/{name}": [((), array)] for name, array in arrays.items()},
            **rows.rollout_rows(self.layout, episodes),
            **rows.batch_rows(self.layout, batch),
            DIGEST: [((), np.frombuffer(parameters_digest(arrays), np.uint8))],
            **rows.log_rows(self.layout, frame, log or {}),
        }
        try:
            self._write(pieces)
        except BaseException as error:
            self._abandon()
            if not isinstance(error, OSError | RuntimeError):
                raise
            raise IntegrityError(
                f"{self.path}: writing the checkpoint at frame {frame} failed ({error}); "
                f"{self._count} checkpoints are safe: make room, then salvage the run"
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

    def _sync(self) -> None:
        os.fsync(self._file.id.get_vfd_handle())

    def _abandon(self) -> None:
        """Close without another byte reaching the file, as if killed now.

        HDF5 cannot close without flushing what it holds, so its descriptor is pointed at a
        scratch file first.
        """
        self._closed = True
        scratch = os.memfd_create("abandoned") if hasattr(os, "memfd_create") else mkstemp()[0]
        os.dup2(scratch, self._file.id.get_vfd_handle())
        os.close(scratch)
        with contextlib.suppress(OSError, RuntimeError):
            self._file.close()
        self._lock.release()

    def close(self, verify: bool = True) -> None:
        """Seal the run and verify it; safe to call twice.

        Raises:
            IntegrityError: the sealed file does not verify.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._sync()
            descriptor = os.dup(self._file.id.get_vfd_handle())
            self._file.close()
            os.fsync(descriptor)
            os.close(descriptor)
            if verify:
                _verify(self.path)
        finally:
            self._lock.release()


def _verify(path: Path) -> None:
    from vrlprobe.format.verify import verify_run

    report = verify_run(path)
    if report.problems:
        raise IntegrityError(f"{path}: sealed, but {report.problems[0]}")


def _lock(path: Path) -> RunLock:
    if not path.parent.is_dir():
        raise FormatError(f"{path}: there is no folder {path.parent}")
    return RunLock(path)


def _create(path: Path, layout: Layout, blobs: Mapping[str, bytes]) -> h5py.File:
    try:
        file = h5py.File(path, "x", libver=VERSIONS)
    except FileExistsError:
        raise FormatError(f"{path}: exists already, and is left alone") from None
    try:
        _build(file, layout, blobs)
        file.swmr_mode = True
        file.flush()
        os.fsync(file.id.get_vfd_handle())
        fsync_folder(path)
    except BaseException:
        file.close()
        path.unlink()
        raise
    return file


def _build(file: h5py.File, layout: Layout, blobs: Mapping[str, bytes]) -> None:
    file.attrs["format"] = np.bytes_(FORMAT)
    file.attrs["format_version"] = np.int64(FORMAT_VERSION)
    for name, blob in blobs.items():
        _static(file, name, np.frombuffer(blob, np.uint8))
    for path, spec in layout.datasets().items():
        _growing(file, path, spec)
    file[FRAME].make_scale("frame")
    for name, labels in layout.coords.items():
        scale = _static(file, f"log/{name}", np.array([label.encode() for label in labels]))
        scale.attrs["_Encoding"] = np.bytes_("utf-8")
        scale.make_scale(name)
    for name, dims in layout.log.items():
        for axis, dim in enumerate(("frame", *dims)):
            file[f"log/{name}"].dims[axis].attach_scale(file[f"log/{dim}"])
    _static(file, COMMITTED, np.zeros(1, np.int64))


def _static(file: h5py.File, path: str, content: NDArray[Any]) -> h5py.Dataset:
    return file.create_dataset(path, data=content, chunks=content.shape, fletcher32=True)


def _growing(file: h5py.File, path: str, spec: DatasetSpec) -> None:
    wide = np.dtype(spec.dtype).itemsize > 1
    filters = {"compression": "gzip", "compression_opts": 1, "shuffle": wide}
    file.create_dataset(
        path,
        shape=(0, *spec.row),
        maxshape=(None, *spec.row),
        chunks=(1, *spec.chunk),
        dtype=spec.dtype,
        fillvalue=spec.fill,
        fletcher32=True,
        **(filters if spec.compress else {}),
    )


def _reopen(path: Path, layout: Layout) -> h5py.File:
    """Open a sealed file straight in SWMR mode, so that it can be read at every moment."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    flags = h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE
    try:
        file = h5py.File(h5py.h5f.open(os.fsencode(path), flags, fapl=access))
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened for writing: {error}") from None
    count = int(file[COMMITTED][0])
    if any(file[name].shape[0] != count for name in layout.datasets()):
        file.close()
        raise IntegrityError(f"{path}: holds rows beyond its {count} checkpoints; verify it")
    return file
