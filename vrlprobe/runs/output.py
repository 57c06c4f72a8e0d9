"""Outputs that replace only earlier ones of their kind."""

from pathlib import Path

import h5py

from vrlprobe.errors import FormatError
from vrlprobe.runs import guard
from vrlprobe.runs.atomic import write_whole
from vrlprobe.runs.paths import as_path, check_folder, refuse_special
from vrlprobe.runs.record import is_record
from vrlprobe.runs.schema import FORMAT, SAMPLES

SAMPLE_SET, PAGE = "a sample set", "a report"
STATED = {FORMAT: "a run", SAMPLES: SAMPLE_SET}
"""Kinds of file by the `format` that they state."""
BEGINNINGS = {
    b"\x89PNG\r\n": "a figure (.png)",
    b"%PDF-": "a figure (.pdf)",
    b"<?xml version": "a figure (.svg)",
    b"GIF8": "a video (.gif)",
    b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">': PAGE,
}
"""Kinds of file by their first bytes."""
KNOWN_SUFFIXES = {
    *(".h5", ".hdf5", ".json", ".png", ".pdf", ".svg", ".html", ".htm", ".mp4", ".gif", ".nc"),
    *(".pt", ".safetensors", ".npz"),
}
SUFFIXES = {"a result": {".nc"}, SAMPLE_SET: {".h5", ".hdf5"}}
"""Of `KNOWN_SUFFIXES`, those that a kind of output may have; others look at theirs themselves."""


def result_kind(name: str) -> str:
    """The kind of file that a result is, `a result of probe`."""
    return f"a result of {name}"


def write_output(
    path: str | Path, *pieces: bytes | memoryview, kind: str, force: bool = False
) -> None:
    """Write a file whole or not at all; it replaces an earlier one of its kind only.

    Args:
        path: of the file.
        pieces: what is in it, one after the other.
        kind: what it is, in words.
        force: replace whatever is there.
    """
    path = as_path(path)
    check_folder(path)
    refuse_to_replace(path, kind, force)
    write_whole(path, *pieces)


def refuse_to_replace(path: Path, kind: str, force: bool = False) -> None:
    """Raise FormatError where an output would take the place of something that is not its like.

    An empty file may be replaced by anything. A name that ends as other kinds' do is refused.
    """
    refuse_special(path)
    fitting = next((ends for begin, ends in SUFFIXES.items() if kind.startswith(begin)), None)
    suffix = path.suffix.lower()
    if fitting is not None and suffix in KNOWN_SUFFIXES - fitting:
        raise FormatError(
            f"cannot write {path}: {kind} does not end in {suffix}, but in {min(fitting)}"
        )
    if force or not path.is_file() or not path.stat().st_size:
        return
    if not (there := kind_of(path)).startswith(kind):
        raise FormatError(
            f"cannot write {path}: it is {there}, not {kind}: choose another name, or replace it "
            "all the same (`force`)"
        )


def kind_of(path: Path) -> str:
    """What a file is, in words: by what it says of itself, or by its first bytes."""
    if is_record(path):
        return "the record of a run"
    if (stated := guard.format_name(path)) in STATED:
        return STATED[stated]
    with path.open("rb") as file:
        start = file.read(100)
    if start.startswith(b"\x89HDF"):
        return _result_of(path)
    if start[4:8] == b"ftyp":
        return "a video (.mp4)"
    known = (kind for begin, kind in BEGINNINGS.items() if start.startswith(begin))
    return next(known, "none of vrlprobe's outputs")


def _result_of(path: Path) -> str:
    try:
        with h5py.File(path, "r") as file:
            name = file.attrs.get("vrlprobe")
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        name = None
    return result_kind(name) if isinstance(name, str) else "an HDF5 file of another program"
