"""Makes, reopens and closes the HDF5 file behind a RunWriter."""

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.runs.atomic import divert, fsync_folder, reason
from vrlprobe.runs.memory import Memory
from vrlprobe.runs.schema import COMMITTED, FORMAT, FORMAT_VERSION, FRAME, DatasetSpec, Layout

VERSIONS = ("v110", "v110")  # readable by every HDF5 since 1.10; "latest" only by the writer's own
PAGE = 4096


def create(path: Path, layout: Layout, blobs: Mapping[str, bytes]) -> h5py.File:
    """Create everything that a run of this layout holds, and open it in SWMR mode.

    HDF5 crashes the process where a write fails while it makes a file, so it makes this one in
    memory: it is a few hundred kB as long as it holds no checkpoint.

    Raises:
        FormatError: the path exists or cannot be written; nothing is left behind.
    """
    made = Memory()
    with h5py.File(made, "w", libver=VERSIONS, fs_strategy="page", fs_page_size=PAGE) as file:
        _build(file, layout, blobs)
    try:
        _write_out(path, made.getbuffer())
    except FileExistsError:
        raise FormatError(f"{path}: exists already, and is left alone") from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise FormatError(f"{path}: cannot be created: {reason(error)}") from error
    try:
        fsync_folder(path)
        return _open_for_writing(path)
    except BaseException as error:
        path.unlink()
        if isinstance(error, OSError):
            raise FormatError(f"{path}: cannot be created: {reason(error)}") from error
        raise


def _write_out(path: Path, content: memoryview) -> None:
    """Make a file of these bytes; the first page comes last, so that no half of it is a run."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        for start, end in ((PAGE, len(content)), (0, PAGE)):
            while start < end:
                start += os.pwrite(descriptor, content[start:end], start)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def reopen(path: Path, layout: Layout) -> h5py.File:
    """Open a sealed file straight in SWMR mode, so that it can be read at every moment."""
    file = _open_for_writing(path)
    count = int(file[COMMITTED][0])
    if any(file[name].shape[0] != count for name in layout.datasets()):
        file.close()
        raise IntegrityError(f"{path}: holds rows beyond its {count} checkpoints; verify it")
    return file


def _open_for_writing(path: Path, patience: float = 5.0) -> h5py.File:
    """Try for `patience` seconds: who looks at a sealed file keeps writers out for that moment."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    flags = h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE
    deadline = time.monotonic() + patience
    while True:
        try:
            return h5py.File(h5py.h5f.open(os.fsencode(path), flags, fapl=access))
        except OSError as error:
            if error.errno != errno.EAGAIN or time.monotonic() > deadline:
                text = f"{path}: cannot be opened for writing: {reason(error)}"
                raise FormatError(text) from None
        time.sleep(0.05)


def seal(file: h5py.File) -> None:
    """Close a file so that it opens plainly, and is on the disk; raises IntegrityError."""
    name, handle = file.filename, file.id.get_vfd_handle()
    descriptor = os.dup(handle)
    try:
        file.close()
        os.fsync(descriptor)
    except (OSError, RuntimeError) as error:
        abandon(file, handle)
        raise IntegrityError(
            f"{name}: closing failed ({reason(error)}); its checkpoints are safe: salvage it"
        ) from error
    finally:
        os.close(descriptor)


def abandon(file: h5py.File, handle: int | None = None) -> None:
    """Close a file without another byte reaching it, as if its writer were killed now.

    What HDF5 still writes to its descriptor (`handle`, asked for if None) goes nowhere.
    """
    divert(file.id.get_vfd_handle() if handle is None else handle)
    with contextlib.suppress(OSError, RuntimeError):
        file.close()
