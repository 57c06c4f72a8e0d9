"""Reads a whole run file and says what is wrong with it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from vrlprobe._text import escaped
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs import guard
from vrlprobe.runs.paths import as_path
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.runs.settings import settings_doubts

CHILD = (
    "import dataclasses, json, sys; from vrlprobe.runs.verify import verify_run; "
    "print(json.dumps(dataclasses.asdict(verify_run(sys.argv[1]))))"
)
"""What the process of `verify_isolated` runs."""


@dataclass(frozen=True)
class Report:
    """What `verify_run` found.

    Attributes:
        path: the file.
        state: 'growing', 'killed' or 'sealed'; '' if it could not be opened.
        checkpoints: how many are committed.
        chunks: stored pieces whose checksums were compared.
        size: bytes of the file.
        problems: one line each; empty for a good file.
        doubts: settings that no run has, a line each, in a file whose bytes are as written.
    """

    path: str
    state: str
    checkpoints: int
    chunks: int
    size: int
    problems: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def verify_run(path: str | os.PathLike[str]) -> Report:
    """Read every stored chunk of a run and recompute every digest; raises nothing on bad files.

    It checks the schema, each chunk's checksum, that nothing recorded is absent, that lengths
    agree, each checkpoint's SHA-256, and the log's labels for netCDF readers.
    """
    name = os.fspath(as_path(path))
    try:
        with open_run(name) as run:
            chunks, problems = _verify(run)
            doubts = tuple(f"{run.path}: {text}" for text in settings_doubts(run.config))
            count = len(run.frames)
            return Report(name, run.state, count, chunks, run.size, tuple(problems), doubts)
    except VrlprobeError as error:
        size = Path(name).stat().st_size if Path(name).is_file() else 0
        return Report(name, "", 0, 0, size, (str(error),))


def verify_isolated(path: str | os.PathLike[str]) -> Report:
    """`verify_run` in a process of its own: where the file crashes HDF5, that is the problem."""
    name = os.fspath(as_path(path))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    if child.returncode:
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"{child.returncode}"
        size = Path(name).stat().st_size if Path(name).is_file() else 0
        problem = f"{name}: reading it ends the process ({how}): damaged or made to do so"
        return Report(name, "", 0, 0, size, (escaped(problem),))
    found = json.loads(child.stdout)
    return Report(
        **{**found, "problems": tuple(found["problems"]), "doubts": tuple(found["doubts"])}
    )


def _verify(run: Run) -> tuple[int, list[str]]:
    problems: list[str] = []
    chunks = 0
    for path in run.dataset_paths:
        chunks += _collect(problems, partial(_read_chunks, run, run.dataset(path))) or 0
    for frame in run.frames.tolist():
        for check in (run.parameters, partial(_check_rollout, run), run.batch, run.stretch):
            _collect(problems, partial(check, frame))
    _collect(problems, partial(getattr, run, "log"))
    return chunks, [*problems, *_extents(run), *_scales(run)]


def _collect(problems: list[str], check: Callable[[], Any]) -> Any:
    try:
        return check()
    except VrlprobeError as error:
        problems.append(str(error))
    return None


def _read_chunks(run: Run, dataset: h5py.Dataset) -> int:
    """Read each stored chunk of the committed rows; returns how many there are."""
    corners: list[tuple[int, ...]] = []
    with guard.hdf5_errors(f"{run.path}: {dataset.name!r}"):
        dataset.id.chunk_iter(lambda info: corners.append(info.chunk_offset))
    corners = [corner for corner in corners if corner[0] < len(run.frames)]
    if not dataset.name.startswith("/checkpoints/"):  # those are read for their digests
        for corner in corners:
            size = zip(corner, dataset.chunks, dataset.shape, strict=True)
            guard.read_region(dataset, tuple(slice(c, min(c + n, m)) for c, n, m in size))
    return len(corners)


def _check_rollout(run: Run, frame: int) -> None:
    """Everything that the lengths call recorded is there; the images were read chunk by chunk."""
    rollout, row = run.rollout(frame), run.row(frame)
    for i, (_, n) in enumerate(zip(rollout, rollout.n_images, strict=True)):
        if n:
            box = [slice(row, row + 1), slice(i, i + 1), slice(0, n)]
            dataset = run.dataset("rollouts/images")
            guard.check_chunks(dataset, (*box, *(slice(0, m) for m in dataset.shape[3:])))


def _extents(run: Run) -> Iterator[str]:
    """Rows beyond the committed ones: of one commit at most, and none in a sealed run."""
    allowed = {"sealed": 0, "killed": 1}.get(run.state)
    for path in run.dataset_paths:
        extra = run.dataset(path).shape[0] - len(run.frames)
        if allowed is not None and extra > allowed:
            yield f"{run.path}: {path!r} has {extra} rows more than are committed"


def _scales(run: Run) -> Iterator[str]:
    """The dimension scales that let plain netCDF readers label the log."""
    for name, dims in run.layout.log.items():
        dataset = run.dataset(f"log/{name}")
        for axis, dim in enumerate(("frame", *dims)):
            if not guard.is_labelled_by(dataset, axis, f"log/{dim}"):
                yield f"{run.path}: axis {axis} of 'log/{name}' is not labelled by {dim!r}"
