"""What is left of a finished run when its file is gone: settings, log and returns, in a few kB.

A record is JSON that a version control system can hold and a person can read. Its key is the
digest of the run's settings, so that a sweep knows which runs are done already.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe._text import html_table
from vrlprobe.errors import FormatError
from vrlprobe.runs.atomic import write_whole
from vrlprobe.runs.logged import describe
from vrlprobe.runs.paths import as_path, no_such_file
from vrlprobe.runs.provenance import stated_versions
from vrlprobe.runs.reader import Run

if TYPE_CHECKING:
    import xarray as xr

VERSION = 1
DIGITS = 6
LIMIT = 10_000_000
"""Bytes from which a file is too large to be a record."""


def config_digest(config: Mapping[str, Any]) -> str:
    """SHA-256 of a run's settings, in hexadecimal: equal settings and seed, equal digest."""
    return hashlib.sha256(json.dumps(dict(config), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A finished run's settings, log and returns; `collapse` and `cohort` take it as a run.

    Attributes:
        path: the file it was read from, or that of the run it was made from.
        name: the run file's name without its ending.
        frames: int64 (n_checkpoints,).
        config: the run's settings.
        log: dims `frame` and what its columns had beside.
        returns: float64 (n_checkpoints,), the mean return at each checkpoint.
        final_returns: float64 (n_episodes,), of the last checkpoint's episodes.
        checkpoint: digest of the last checkpoint's parameters.
        versions: of the software that trained it.
        stretches: code revision and processor of each stretch of its training, in order, with the
            `frame` of its first checkpoint; empty in records of before they were kept.
        sections: results added later, by name: final metrics and probes.
    """

    path: Path
    name: str
    frames: NDArray[np.int64]
    config: Mapping[str, Any]
    log: "xr.Dataset"
    returns: NDArray[np.float64]
    final_returns: NDArray[np.float64]
    checkpoint: str
    versions: Mapping[str, str]
    sections: Mapping[str, Any]
    stretches: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        for values in (self.frames, self.returns, self.final_returns):
            values.setflags(write=False)

    def __repr__(self) -> str:
        return f"<Record {self.name}: {len(self.frames)} checkpoints, {self.state}>"

    def _repr_html_(self) -> str:
        return html_table(f"Record {self.name}", describe(self))

    @property
    def state(self) -> str:
        """`finished`: a record is made of a whole run."""
        return "finished"

    @property
    def finished(self) -> bool:
        """True: only finished runs have records."""
        return True

    @property
    def key(self) -> str:
        """`config_digest` of the settings."""
        return config_digest(self.config)

    def known_digest(self, frame: int) -> str | None:
        """Digest of the checkpoint at a frame; None but for the last one."""
        return self.checkpoint if frame == self.frames[-1] else None


def make_record(run: Run) -> Record:
    """The record of a run.

    Raises:
        FormatError: the run has no checkpoint, or has not reached its last one.
    """
    if not len(run.frames):
        raise FormatError(f"{run.path} has no checkpoint: there is nothing to record")
    last = int(run.frames[-1])
    if not run.finished:
        raise FormatError(
            f"{run.path} stopped at frame {last} of {run.config['total_frames']}: finish it first "
            "(vrltrain resume)"
        )
    return Record(
        run.path,
        run.path.stem,
        run.frames,
        run.config,
        run.log,
        run.returns,
        run.rollout(last).returns,
        run.digest(last),
        stated_versions(run.provenance),
        {},
        run.stretches,
    )


def is_record(path: Path) -> bool:
    """Whether a file is a record, of any run."""
    try:
        return path.stat().st_size <= LIMIT and "vrlprobe_record" in json.loads(path.read_text())
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def refuse_to_replace_by_record(path: Path) -> None:
    """Raise FormatError where something else lies where a run's record goes."""
    if path.exists() and not is_record(path):
        raise FormatError(
            f"{path} is where the run's record goes, and is none: move it or rename the run"
        )


def write_record(record: Record, path: str | os.PathLike[str]) -> None:
    """Write a record as JSON, at once or not at all.

    Raises:
        FormatError: something else is there, or this is no record.
    """
    path = as_path(path)
    if not isinstance(record, Record):
        raise FormatError(
            f"cannot write {path}: a record is needed (vrlprobe.analyses.full_record), not "
            f"{type(record).__name__}"
        )
    refuse_to_replace_by_record(path)
    log = {name: plain(item.values) for name, item in record.log.data_vars.items()}
    content = {
        "vrlprobe_record": VERSION,
        "name": record.name,
        "digest": record.key,
        "config": dict(record.config),
        "versions": dict(record.versions),
        "stretches": [dict(stretch) for stretch in record.stretches],
        "checkpoint": record.checkpoint,
        "final_returns": plain(record.final_returns),
        "returns": plain(record.returns),
        "frames": record.frames.tolist(),
        "coords": {
            str(name): values.values.tolist()
            for name, values in record.log.coords.items()
            if name != "frame"
        },
        "dims": {str(name): list(item.dims[1:]) for name, item in record.log.data_vars.items()},
        "log": log,
        "sections": dict(record.sections),
    }
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    write_whole(path, f"{{\n{lines}\n}}\n".encode())


def read_record(path: str | os.PathLike[str]) -> Record:
    """Read what `write_record` wrote.

    Raises:
        FormatError: no such file, not a record, or one whose key is not that of its settings.
    """
    path = as_path(path)
    if path.is_dir():
        raise FormatError(f"{path}: a folder, needed is a file; all of its records: {path}/*.json")
    try:
        if path.stat().st_size > LIMIT:
            raise FormatError(f"{path} is too large for the record of a run")
        content = json.loads(path.read_text())
        if content["vrlprobe_record"] != VERSION:
            raise FormatError(f"{path}: record version {content['vrlprobe_record']}, not {VERSION}")
        record = _record_of(content, path)
        _check_shapes(record)
        digest = content["digest"]
    except FileNotFoundError as error:
        raise FormatError(no_such_file(path)) from error
    except (
        KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, RecursionError,
    ) as error:  # fmt: skip
        text = ascii(str(error))[1:-1][:200]
        raise FormatError(f"{path} is not the record of a run ({text})") from error
    if record.key != digest:
        raise FormatError(f"{path}: its settings are not those that it was written with")
    return record


def _record_of(content: Mapping[str, Any], path: Path) -> Record:
    import xarray as xr

    frames = np.array(content["frames"], np.int64)
    # Records of before `dims` have one coordinate, which scalar columns lack.
    dims = content.get("dims", dict.fromkeys(content["log"], tuple(content["coords"])))
    columns = {name: _array(values) for name, values in content["log"].items()}
    log = xr.Dataset(
        {name: (("frame", *dims[name])[: column.ndim], column) for name, column in columns.items()},
        coords={"frame": frames, **content["coords"]},
    )
    return Record(
        path,
        content["name"],
        frames,
        dict(content["config"]),
        log,
        _array(content["returns"]),
        _array(content["final_returns"]),
        content["checkpoint"],
        content["versions"],
        content["sections"],
        [dict(stretch) for stretch in content.get("stretches", [])],
    )


def _check_shapes(record: Record) -> None:
    """Raise ValueError for what no run has: no frames, or not ascending, or other returns."""
    if not len(record.frames) or (np.diff(record.frames) <= 0).any():
        raise ValueError("frames do not ascend")
    if record.returns.shape != record.frames.shape or record.final_returns.ndim != 1:
        raise ValueError("returns that are not one a frame")


def plain(values: NDArray[Any]) -> Any:
    """An array as nested lists of JSON numbers of six digits, None for what is not finite."""
    if values.ndim:
        return [plain(value) for value in values]
    number = float(values)
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else None


def _array(values: Any) -> NDArray[np.float64]:
    return np.array(values, np.float64)
