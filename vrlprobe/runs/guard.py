"""Opens a run file that nobody has vouched for: every object is checked before it is read.

Allowed are groups and chunked datasets that the layout names, reached by hard links, with the
filters shuffle, deflate and fletcher32. Links to elsewhere, external or virtual storage, other
filters, types or shapes, and sizes that the file cannot hold are refused.
"""

import contextlib
import ctypes
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError, IntegrityError, UnsafeFileError
from vrlprobe.runs.schema import (
    COMMITTED,
    CONFIG,
    FORMAT,
    LAYOUT,
    MAX_DATASETS,
    MAX_JSON_BYTES,
    PROVENANCE,
    SAMPLES,
    DatasetSpec,
    Layout,
    from_json,
    layout_from_json,
)

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
MAX_DEFLATE_RATIO = 1032
SMALL = 1 << 30
METADATA_ATTEMPTS = 24

Region = tuple[slice, ...]


@contextlib.contextmanager
def hdf5_errors(where: str) -> Iterator[None]:
    """Turn what HDF5 raises on a damaged file into one line."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        line = " ".join(str(error).split())
        raise IntegrityError(f"{where}: damaged or cut off: {line}") from None


def open_file(path: Path) -> h5py.File:
    """Open a file for reading in SWMR mode, which suits every state; raises OSError.

    There HDF5 tries 100 times to read a damaged piece of metadata, each pause twice the last:
    for ever. 24 tries take 17 ms. h5py has no call for it, the HDF5 library that it links has.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    with contextlib.suppress(AttributeError):
        set_attempts = ctypes.CDLL(h5py.h5p.__file__).H5Pset_metadata_read_attempts
        set_attempts.argtypes = [ctypes.c_int64, ctypes.c_uint]
        set_attempts(access.id, METADATA_ATTEMPTS)
    flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.File(h5py.h5f.open(os.fsencode(path), flags, fapl=access))


def format_version(file: h5py.File, path: Path) -> int:
    """The `format_version` of a run file; raises FormatError where the file is no run."""
    if (found := _attribute(file, "format", "S")) != FORMAT.encode():
        kind = "a sample set" if found == SAMPLES.encode() else "an HDF5 file"
        raise FormatError(f"{path}: {kind}, but not a vrlprobe run")
    version = _attribute(file, "format_version", "i")
    if version is None:
        raise FormatError(f"{path}: a run without a format_version")
    return int(version)


def format_name(path: Path) -> str:
    """The `format` that an HDF5 file of this package states of itself; "" for any other file."""
    try:
        with hdf5_errors(str(path)), open_file(path) as file:
            found = _attribute(file, "format", "S")
    except IntegrityError:
        return ""
    return found.decode(errors="replace") if isinstance(found, bytes) else ""


def _attribute(file: h5py.File, name: str, kind: str) -> Any:
    """A small scalar root attribute of numpy kind `kind`, or None; nothing else is decoded."""
    if not h5py.h5a.exists(file.id, name.encode()):
        return None
    attribute = h5py.h5a.open(file.id, name.encode())
    if attribute.shape != () or attribute.get_storage_size() > 64:
        return None
    return file.attrs[name] if attribute.dtype.kind == kind else None


def open_object(file: h5py.File, path: str) -> h5py.Dataset | h5py.Group:
    """Open one object component by component along hard links; raises UnsafeFileError."""
    group = file
    for name in path.split("/"):
        if not isinstance(group, h5py.Group) or name.encode() not in group.id:
            raise FormatError(f"{file.filename}: {path!r} is missing")
        kind = group.id.links.get_info(name.encode()).type
        if kind != h5py.h5l.TYPE_HARD:
            raise UnsafeFileError(f"{file.filename}: {path!r} is a link to elsewhere; not read")
        opened = h5py.h5o.open(group.id, name.encode())
        if isinstance(opened, h5py.h5g.GroupID):
            group = h5py.Group(opened)
        elif isinstance(opened, h5py.h5d.DatasetID):
            group = h5py.Dataset(opened)
        else:
            raise UnsafeFileError(f"{file.filename}: {path!r} is neither group nor dataset")
    return group


def open_dataset(file: h5py.File, path: str, dtype: str) -> h5py.Dataset:
    """Open one dataset after checking its storage, filters and type; nothing is read."""
    dataset = open_object(file, path)
    where = f"{file.filename}: {path!r}"
    if not isinstance(dataset, h5py.Dataset):
        raise FormatError(f"{where} is not a dataset")
    plist = dataset.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise UnsafeFileError(f"{where} keeps its data in other files; not read")
    if plist.get_layout() != h5py.h5d.CHUNKED:
        raise FormatError(f"{where} is not chunked")
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    if unknown := set(filters) - {DEFLATE, SHUFFLE, FLETCHER32}:
        raise UnsafeFileError(f"{where} uses HDF5 filter {min(unknown)}, which no run does")
    if filters[-1:] != [FLETCHER32]:
        raise FormatError(f"{where} has no fletcher32 checksum as its last filter")
    type_id = dataset.id.get_type()
    if type_id.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING):
        raise UnsafeFileError(f"{where} is of a type that no run holds")
    if dataset.id.get_space().get_simple_extent_type() != h5py.h5s.SIMPLE:
        raise FormatError(f"{where} is not a simple array")
    if dtype != "S" and dataset.dtype != np.dtype(dtype):
        raise FormatError(f"{where} is of type {dataset.dtype}, not {np.dtype(dtype)}")
    return dataset


def read_json(file: h5py.File, path: str) -> dict[str, Any]:
    """Read one of the JSON blobs, at most MAX_JSON_BYTES long."""
    return from_json(_read_blob(file, path), f"{file.filename}: {path!r}")


def read_layout(file: h5py.File) -> Layout:
    """Read and check the layout blob."""
    try:
        return layout_from_json(_read_blob(file, LAYOUT))
    except FormatError as error:
        raise FormatError(f"{file.filename}: {error}") from None


def _read_blob(file: h5py.File, path: str) -> bytes:
    dataset = open_dataset(file, path, "|u1")
    if dataset.ndim != 1 or not 0 < dataset.size <= MAX_JSON_BYTES:
        raise UnsafeFileError(
            f"{file.filename}: {path!r} has shape {dataset.shape}; the limit is {MAX_JSON_BYTES}"
        )
    return read_region(dataset, (slice(0, dataset.size),)).tobytes()


def check_names(file: h5py.File, layout: Layout) -> None:
    """Refuse any object that the layout does not name, and any link that is not hard."""
    groups = layout.groups()
    coords = {f"log/{name}" for name in layout.coords}
    known = {CONFIG, PROVENANCE, LAYOUT, COMMITTED, *layout.datasets(), *coords, *groups}
    for parent in ["", *sorted(groups)]:
        group = open_object(file, parent) if parent else file
        if group.id.get_num_objs() > MAX_DATASETS:
            raise UnsafeFileError(f"{file.filename}: '/{parent}' has too many members")
        for raw in group.id:
            path = f"{parent}/{os.fsdecode(raw)}".lstrip("/")
            if group.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
                raise UnsafeFileError(f"{file.filename}: {path!r} is a link to elsewhere; not read")
            if path not in known:
                raise UnsafeFileError(f"{file.filename}: {path!r} is not part of a run")


def open_growing(file: h5py.File, path: str, spec: DatasetSpec, committed: int) -> h5py.Dataset:
    """Open one growing dataset and hold its shape, chunks and size against `spec`."""
    dataset = open_dataset(file, path, spec.dtype)
    where = f"{file.filename}: {path!r}"
    if dataset.ndim != 1 + len(spec.row) or dataset.shape[1:] != spec.row:
        raise FormatError(f"{where} has shape {dataset.shape}, not (checkpoints, {spec.row})")
    if dataset.chunks[0] != 1 or any(
        c > n for c, n in zip(dataset.chunks[1:], spec.row, strict=True)
    ):
        raise FormatError(f"{where} has chunks {dataset.chunks}; a chunk is one commit's or less")
    if dataset.shape[0] < committed:
        raise IntegrityError(f"{where} has {dataset.shape[0]} rows, but {committed} are committed")
    file_size = size_on_disk(file)
    stored_whole = 0 if spec.optional else (dataset.shape[0] - 1) * spec.item_bytes
    compressible = MAX_DEFLATE_RATIO if spec.compress else 1
    if stored_whole > file_size * compressible or dataset.shape[0] > file_size:
        raise UnsafeFileError(f"{where} claims {dataset.shape} in a file of {file_size} bytes")
    if spec.item_bytes > max(SMALL, file_size * compressible):
        raise UnsafeFileError(f"{where} claims {dataset.shape} in a file of {file_size} bytes")
    return dataset


def read_coordinate(file: h5py.File, name: str, labels: Sequence[str]) -> None:
    """Hold the labels stored for plain netCDF readers against the layout's."""
    dataset = open_dataset(file, f"log/{name}", "S")
    if dataset.dtype.kind != "S" or dataset.shape != (len(labels),):
        raise FormatError(f"{file.filename}: 'log/{name}' does not hold {len(labels)} labels")
    if dataset.dtype.itemsize > MAX_JSON_BYTES:
        raise UnsafeFileError(f"{file.filename}: 'log/{name}' has labels of absurd length")
    stored = read_region(dataset, (slice(0, len(labels)),))
    if [label.decode(errors="replace") for label in stored.tolist()] != list(labels):
        raise FormatError(f"{file.filename}: 'log/{name}' differs from the layout's labels")


def is_labelled_by(dataset: h5py.Dataset, axis: int, path: str) -> bool:
    """Whether the `DIMENSION_LIST` of a dataset has the object at `path` alone at an axis.

    HDF5 crashes on a list of another type or length than a dataset's, so this looks first.
    """
    name = b"DIMENSION_LIST"
    if not h5py.h5a.exists(dataset.id, name):
        return False
    attribute = h5py.h5a.open(dataset.id, name)
    kind = attribute.get_type()
    if attribute.shape != (dataset.ndim,) or kind.get_class() != h5py.h5t.VLEN:
        return False
    if not kind.get_super().equal(h5py.h5t.STD_REF_OBJ):
        return False
    wanted = h5py.h5o.get_info(open_object(dataset.file, path).id).addr
    try:
        there = [
            h5py.h5o.get_info(h5py.h5r.dereference(reference, dataset.id)).addr
            for reference in dataset.attrs[name.decode()][axis]
        ]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError):
        return False
    return there == [wanted]


def stat(file: h5py.File) -> os.stat_result:
    """The status of an open file, whatever its name points to now."""
    return os.fstat(file.id.get_vfd_handle())


def size_on_disk(file: h5py.File) -> int:
    """Bytes of an open file now."""
    return stat(file).st_size


def check_chunks(dataset: h5py.Dataset, region: Region) -> None:
    """Make sure that the chunks of `region` are stored, inside the file, and checksummed.

    HDF5 fills absent chunks in silently and skips filters that a chunk's mask names.

    Raises:
        IntegrityError: a chunk is absent, or lies beyond the end of the file.
        UnsafeFileError: it claims to unpack to more than deflate can.
    """
    where = f"{dataset.file.filename}: {dataset.name!r}"
    file_size = size_on_disk(dataset.file)
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    starts = [
        range(part.start // size * size, part.stop, size)
        for part, size in zip(region, dataset.chunks, strict=True)
    ]
    if (wanted := math.prod(map(len, starts))) > file_size:  # before they are counted up
        raise UnsafeFileError(f"{where} claims {wanted} chunks in a file of {file_size} bytes")
    for corner in itertools.product(*starts):
        with hdf5_errors(where):
            info = dataset.id.get_chunk_info_by_coord(corner)
        if info.byte_offset is None or not info.size:
            raise IntegrityError(f"{where} has no data at {corner}")
        if info.filter_mask or info.byte_offset + info.size > file_size:
            raise IntegrityError(f"{where} has a chunk at {corner} that is cut off or unchecked")
        if info.size > 2 * chunk_bytes + 1024 or chunk_bytes > MAX_DEFLATE_RATIO * info.size:
            raise UnsafeFileError(f"{where} claims {chunk_bytes} bytes from {info.size} stored")


def read_region(dataset: h5py.Dataset, region: Region) -> NDArray[Any]:
    """Read a box of a dataset whose chunks must all be there; retries once.

    A reader that follows a writer can meet a chunk or an index half written; the second look
    finds it whole.

    Raises:
        IntegrityError: a checksum does not match, or a chunk is absent.
    """
    try:
        return _read(dataset, region)
    except (OSError, RuntimeError, IntegrityError):
        pass
    try:
        return _read(dataset, region)
    except (OSError, RuntimeError) as error:
        reason = str(error).partition("(")[2].rstrip(")") or str(error)
        raise IntegrityError(
            f"{dataset.file.filename}: {dataset.name!r} cannot be read at "
            f"{tuple(part.start for part in region)}: {reason}"
        ) from None


def _read(dataset: h5py.Dataset, region: Region) -> NDArray[Any]:
    check_chunks(dataset, region)
    array: NDArray[Any] = dataset[region]
    return array
