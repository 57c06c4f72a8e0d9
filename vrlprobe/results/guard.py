"""Checks a result's file before h5netcdf reads it, which believes whatever the file says.

Allowed are datasets of numbers and texts beside each other, reached by hard links, whose data is in
the file. What HDF5 could crash on is compared in type and shape first.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from vrlprobe.errors import UnsafeFileError
from vrlprobe.runs.guard import DEFLATE, FLETCHER32, MAX_DEFLATE_RATIO, SHUFFLE, stat

SCALES = "DIMENSION_LIST"
UNREAD = {SCALES, "REFERENCE_LIST"}
"""Attributes of netCDF's own: the first is checked for itself, the second is read by nobody."""
PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING)
BARE = b"This is a netCDF dimension but not a netCDF variable"
"""Name of a dimension scale that has a length and no values."""
TEXT_POINTER = np.dtype([("length", "<u4"), ("where", "<u8"), ("which", "<u4")])
"""How a text of any length is stored: where its characters are in the file."""
MOST_TEXT = 1 << 30


def check_result_file(path: Path) -> None:
    """Raise UnsafeFileError for a file that is more, or claims more, than a result.

    Raises:
        OSError, RuntimeError, KeyError, ValueError: HDF5 cannot read it.
    """
    with h5py.File(path, "r") as file:
        _check_attributes(file, str(path))
        members = dict(_members(file))
        places = {h5py.h5o.get_info(item.id).addr for item in members.values()}
        for name, dataset in members.items():
            where = f"{path}: {name!r}"
            _check_attributes(dataset, where)
            _check_scales(dataset, places, where)
            _check_type(dataset, where)
            _check_storage(dataset, where)


def _members(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    for raw in file.id:
        name = os.fsdecode(raw)
        if file.id.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
            raise UnsafeFileError(f"{file.filename}: {name!r} is a link to elsewhere; not read")
        opened = h5py.h5o.open(file.id, raw)
        if not isinstance(opened, h5py.h5d.DatasetID):
            raise UnsafeFileError(f"{file.filename}: {name!r} is no variable of a result; not read")
        yield name, h5py.Dataset(opened)


def _check_type(dataset: h5py.Dataset, where: str) -> None:
    plist = dataset.id.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise UnsafeFileError(f"{where} keeps its data in other files; not read")
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    if unknown := filters - {DEFLATE, SHUFFLE, FLETCHER32}:
        raise UnsafeFileError(f"{where} uses HDF5 filter {min(unknown)}, which no result does")
    if dataset.id.get_type().get_class() not in PLAIN:
        raise UnsafeFileError(f"{where} is of a type that no result holds")


def _check_storage(dataset: h5py.Dataset, where: str) -> None:
    """Refuse more values than the file holds; one without data would be filled up with zeros."""
    claimed = dataset.size * dataset.id.get_type().get_size()
    stored = dataset.id.get_storage_size()
    layout = dataset.id.get_create_plist().get_layout()
    if not claimed or (not stored and _is_bare(dataset)):
        return
    ratio = MAX_DEFLATE_RATIO if layout == h5py.h5d.CHUNKED else 1
    if stored > stat(dataset.file).st_size or claimed > stored * ratio:
        raise UnsafeFileError(f"{where} claims {claimed} bytes, of which {stored} are in the file")
    if dataset.id.get_type().get_class() == h5py.h5t.STRING:
        _check_texts(dataset, layout, where)


def _is_bare(dataset: h5py.Dataset) -> bool:
    if not h5py.h5a.exists(dataset.id, b"NAME"):
        return False
    name = dataset.attrs["NAME"]  # a text by now, see _check_attributes
    return isinstance(name, bytes) and name.startswith(BARE)


def _check_texts(dataset: h5py.Dataset, layout: int, where: str) -> None:
    """Refuse texts that share their characters: a small file could hold any number of long ones."""
    kind = dataset.id.get_type()
    if not kind.is_variable_str():
        return
    size = stat(dataset.file).st_size
    offset = dataset.id.get_offset()
    if layout != h5py.h5d.CONTIGUOUS or offset is None:
        if dataset.size * size > MOST_TEXT:
            raise UnsafeFileError(f"{where} holds texts in another way than a result")
        return
    with open(dataset.file.filename, "rb") as file:
        file.seek(offset)
        pointers = np.frombuffer(file.read(dataset.size * TEXT_POINTER.itemsize), TEXT_POINTER)
    if len(pointers) != dataset.size or pointers["length"].sum(dtype=np.int64) > size:
        raise UnsafeFileError(f"{where} claims more text than the file has")


def _check_attributes(item: h5py.File | h5py.Dataset, where: str) -> None:
    size = stat(item.file).st_size
    names: list[bytes] = []
    h5py.h5a.iterate(item.id, lambda raw, *_: names.append(raw))  # loses what is raised in it
    for raw in names:
        if (name := os.fsdecode(raw)) in UNREAD:
            continue
        attribute = h5py.h5a.open(item.id, raw)
        kind = attribute.get_type()
        if kind.get_class() not in PLAIN:
            raise UnsafeFileError(f"{where} has an attribute {name!r} that is no number or text")
        count = int(np.prod(attribute.shape or (1,)))
        each = size if kind.get_class() == h5py.h5t.STRING else kind.get_size()
        if count > 1 and count * each > MOST_TEXT:
            raise UnsafeFileError(f"{where} has an attribute {name!r} of absurd size")


def _check_scales(dataset: h5py.Dataset, places: set[int], where: str) -> None:
    """Refuse a list of dimensions that is not one scale of this file for each axis."""
    if not h5py.h5a.exists(dataset.id, SCALES.encode()):
        return
    attribute = h5py.h5a.open(dataset.id, SCALES.encode())
    kind = attribute.get_type()
    if (
        attribute.shape != (dataset.ndim,)
        or kind.get_class() != h5py.h5t.VLEN
        or not kind.get_super().equal(h5py.h5t.STD_REF_OBJ)
    ):
        raise UnsafeFileError(f"{where} has a {SCALES} that is none")
    for scales in dataset.attrs[SCALES]:
        there = [h5py.h5r.dereference(scale, dataset.id) for scale in scales if scale]
        if len(there) != 1 or h5py.h5o.get_info(there[0]).addr not in places:
            raise UnsafeFileError(f"{where} has a {SCALES} that names no dimension of the file")
