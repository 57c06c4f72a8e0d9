"""Sample sets on disk: one HDF5 file, every dataset checksummed, opened as guardedly as a run."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from vrlprobe.errors import FormatError, IntegrityError, UnsafeFileError
from vrlprobe.runs.build import VERSIONS
from vrlprobe.runs.guard import MAX_DEFLATE_RATIO, format_name, open_dataset, read_json, read_region
from vrlprobe.runs.memory import Memory
from vrlprobe.runs.output import SAMPLE_SET, write_output
from vrlprobe.runs.paths import as_path
from vrlprobe.runs.schema import SAMPLES as FORMAT
from vrlprobe.runs.state import consistency_flags
from vrlprobe.samples.sample_set import SampleSet, Source

FORMAT_VERSION = 1
RANKS = {"images": 4, "index": 2, "states": 2, "episodes": 1, "split": 1, "origin": 1}
DTYPES = {"images": "|u1", "states": "<f8"}
CHUNK_BYTES = 1 << 20


def is_sample_file(path: str | Path) -> bool:
    """Whether a file says that it is a sample set; raises FormatError where it is no HDF5 file."""
    consistency_flags(Path(path))
    return format_name(Path(path)) == FORMAT


def save_samples(samples: SampleSet, path: str | Path, *, force: bool = False) -> None:
    """Write a set atomically; an earlier one, or with `force` any file, is replaced.

    Raises:
        FormatError: no sample set, or the folder does not exist or cannot be written.
    """
    if not isinstance(samples, SampleSet):
        raise FormatError(f"a sample set is needed, not {type(samples).__name__}")
    header = {
        "components": list(samples.components),
        "aliases": dict(samples.aliases),
        "sources": [source.record() for source in samples.sources],
        "seed": samples.seed,
        "digest": samples.digest,
    }
    made = Memory()
    with h5py.File(made, "w", libver=VERSIONS) as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file.attrs["format_version"] = FORMAT_VERSION
        _store(file, "header", np.frombuffer(json.dumps(header).encode(), np.uint8))
        for name, array in samples.arrays().items():
            _store(file, name, array)
    write_output(path, made.getbuffer(), kind=SAMPLE_SET, force=force)


def load_samples(path: str | Path) -> SampleSet:
    """Read a set whole into memory, checksums and digest verified.

    Raises:
        FormatError: no such file, not a sample set, or one of a version this program can't read.
        UnsafeFileError: it holds what a sample set never does.
        IntegrityError: its content is damaged.
    """
    path = as_path(path)
    consistency_flags(path)
    try:
        with h5py.File(path, "r") as file:
            _check_version(file, path)
            header = read_json(file, "header")
            arrays = {name: _load(file, name) for name in RANKS}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        line = " ".join(str(error).split())
        raise IntegrityError(f"{path}: damaged or cut off: {line}") from None
    samples = _build(path, header, arrays)
    if samples.digest != header["digest"]:
        raise IntegrityError(f"{path}: its content does not match its digest")
    return samples


def _store(file: h5py.File, name: str, array: npt.NDArray[Any]) -> None:
    row = array.dtype.itemsize * int(np.prod(array.shape[1:]))
    chunk = (max(1, min(len(array), CHUNK_BYTES // max(row, 1))), *array.shape[1:])
    file.create_dataset(
        name,
        data=array,
        chunks=chunk,
        compression="gzip",
        compression_opts=1,
        shuffle=True,
        fletcher32=True,
    )


def _load(file: h5py.File, name: str) -> npt.NDArray[Any]:
    dataset = open_dataset(file, name, DTYPES.get(name, "<i8"))
    where = f"{file.filename}: {name!r}"
    if dataset.ndim != RANKS[name] or not dataset.size:
        raise FormatError(f"{where} has shape {dataset.shape}")
    if dataset.nbytes > MAX_DEFLATE_RATIO * Path(file.filename).stat().st_size:
        raise UnsafeFileError(f"{where} claims {dataset.shape}, more than the file can hold")
    return read_region(dataset, tuple(slice(0, size) for size in dataset.shape))


def _check_version(file: h5py.File, path: Path) -> None:
    if _text(file, "format") != FORMAT:
        raise FormatError(f"{path} is not a sample set: make one with `vrlprobe samples`")
    version = file.attrs.get("format_version")
    if version != FORMAT_VERSION:
        raise FormatError(f"{path} is a sample set of version {version}, this reads version 1")


def _text(file: h5py.File, name: str) -> str:
    value = file.attrs.get(name)
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _build(path: Path, header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> SampleSet:
    try:
        sources = tuple(Source(**source) for source in header["sources"])
        samples = SampleSet(
            **arrays,
            components=tuple(header["components"]),
            aliases=dict(header["aliases"]),
            sources=sources,
            seed=int(header["seed"]),
        )
        fits = (
            _within(samples.index, len(samples.images))
            and _within(samples.episodes, len(samples.split))
            and _within(samples.split, 3)
            and _within(samples.origin, len(sources))
            and len(samples.index) == len(samples.states) == len(samples.episodes)
            and samples.states.shape[1] == len(samples.components)
            and len(samples.split) == len(samples.origin)
            and isinstance(header["digest"], str)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: the header is not that of a sample set: {error}") from None
    if not fits:
        raise FormatError(f"{path}: its arrays do not fit together")
    return samples


def _within(values: npt.NDArray[Any], limit: int) -> bool:
    return bool(values.min() >= 0 and values.max() < limit)
