"""Copies checkpoints into a new sealed run: to salvage a killed run, or to cut a small one."""

import dataclasses
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from vrlprobe.errors import FormatError
from vrlprobe.runs.atomic import fsync_folder
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.locks import RunLock
from vrlprobe.runs.paths import as_path
from vrlprobe.runs.provenance import stated_steps, versions
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.runs.rollout import Rollout
from vrlprobe.runs.schema import Layout
from vrlprobe.runs.writer import RunWriter

Images = Literal["all", "first", "none"]


def salvage_run(path: str | os.PathLike[str]) -> int | None:
    """Turn a killed run into a sealed one that holds exactly its committed checkpoints.

    The copy is verified and on the disk before it takes the killed file's place, so a failure
    or a second kill leaves the killed file as it was. Needs as much free space as the run.

    Returns:
        The number of checkpoints; None if the run was sealed already and was left alone.

    Raises:
        FormatError: the run is growing.
        IntegrityError: a committed checkpoint is damaged; nothing is replaced.
    """
    where, real = as_path(path), Path(os.path.realpath(as_path(path)))
    with open_run(where) as run:
        state = run.state
    if state == "sealed":
        return None
    if state == "growing":
        raise FormatError(f"{where}: the run is still being written, so it is not salvaged")
    lock = RunLock(where)
    copy = real.with_name(real.name + ".salvaging")
    try:
        copy.unlink(missing_ok=True)  # of a salvage that was killed
        with open_run(where) as run:
            count = len(run.frames)
            _copy(run, copy, run.frames.tolist(), "all", "salvage", run.layout)
        os.replace(copy, real)
        fsync_folder(real)
    finally:
        copy.unlink(missing_ok=True)
        lock.release()
    return count


def copy_run(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    frames: Iterable[int] | None = None,
    images: Images = "all",
    batch: bool = True,
    parts: Collection[str] | None = None,
) -> int:
    """Copy chosen checkpoints of a run into a new sealed one, with their config and provenance.

    Args:
        source: a run in any state.
        destination: must not exist.
        frames: which checkpoints, all if None.
        images: of all episodes that have them, of each rollout's first episode, or of none.
        batch: whether the stored batches come along.
        parts: networks that come along (`encoder`, `actor` …), all if None.

    Returns:
        The number of checkpoints in the copy, whose provenance says under `origin` what was
        done to which run.

    Raises:
        UnknownFrameError: the source has no checkpoint at a frame.
        FormatError: the destination exists, or the source has no such part.
        IntegrityError: the source is damaged.
    """
    with open_run(source) as run:
        wanted = run.frames.tolist() if frames is None else sorted(set(frames))
        for frame in wanted:
            run.row(frame)
        layout = _kept(run, batch, parts)
        _copy(run, Path(destination), wanted, images, "copy", layout)
    return len(wanted)


def _kept(run: Run, batch: bool, parts: Collection[str] | None) -> Layout:
    """The run's layout without the batches or networks that stay behind."""
    layout = run.layout if batch else dataclasses.replace(run.layout, batch_size=0)
    if parts is None:
        return layout
    there = {name.split("/")[0] for name in layout.parameters}
    if missing := sorted(set(parts) - there):
        found = ", ".join(sorted(there))
        raise FormatError(f"{run.path} has no part {missing[0]!r}: its parts are {found}")
    kept = {name: s for name, s in layout.parameters.items() if name.split("/")[0] in parts}
    return dataclasses.replace(layout, parameters=kept)


def _copy(
    run: Run, to: Path, frames: list[int], images: Images, operation: str, layout: Layout
) -> None:
    step = {
        "operation": operation,
        "file": run.path.name,
        "checkpoints": len(run.frames),
        "copied": len(frames),
        "images": images,
        "vrlprobe": versions().get("vrlprobe", "unknown"),
    }
    provenance = {**run.provenance, "origin": [*stated_steps(run.provenance), step]}
    writer = RunWriter.from_layout(to, layout, dict(run.config), provenance)
    try:
        with writer:
            _copy_rows(run, writer, frames, images)
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _copy_rows(run: Run, writer: RunWriter, frames: list[int], images: Images) -> None:
    log = run.log
    for frame in frames:
        row = log.sel(frame=frame)
        parameters = run.parameters(frame)
        writer.commit(
            frame,
            {name: parameters[name] for name in writer.layout.parameters},
            _episodes(run.rollout(frame), images),
            {str(name): row[name].values for name in log.data_vars},
            run.batch(frame) if writer.layout.batch_size else None,
            run.stretch(frame) or None,
        )


def _episodes(rollout: Rollout, images: Images) -> list[Episode]:
    kept = {"all": len(rollout), "first": 1, "none": 0}[images]
    return [
        Episode(e.images if i < kept else None, e.actions, e.rewards, e.states, e.physics)
        for i, e in enumerate(rollout)
    ]
