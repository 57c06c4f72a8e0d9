"""What the studies share: the provenance of a result, and a run's part of one."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import xarray as xr

from vrlprobe.errors import FormatError, SampleError
from vrlprobe.results.file import last_checkpoint, provenance
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.reader import Run
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import run_labels

CONFIG_KEYS = (
    *("task", "seed", "profile", "architecture", "precision", "render"),
    *("good_return", "bad_return", "rule_window"),
)

BOUNDS = ("estimate", "low", "high")
"""Of an estimate with the ends of its interval."""
Track = Callable[[Sequence[Any]], Iterable[Any]]
"""Wraps items of work as they are gone through, for instance to show progress."""


def all_frames(chosen: Sequence[Sequence[int]]) -> list[int]:
    """Every frame that some run has, in order."""
    return sorted({frame for frames in chosen for frame in frames})


def run_attributes(
    kind: str, runs: "Sequence[LoggedRun]", arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Provenance of a result: its kind, the arguments, what the runs' configs say."""
    configs = {
        label: {key: run.config.get(key) for key in CONFIG_KEYS}
        for label, run in zip(run_labels(runs), runs, strict=True)
    }
    return {**provenance(kind, arguments), "configs": json.dumps(configs)}


def shared(
    values: Sequence[Any], runs: "Sequence[LoggedRun]", what: str, where: str, hint: str = ""
) -> Any:
    """The value that all runs have.

    Raises:
        SampleError: they differ.
    """
    for value, run in zip(values, runs, strict=True):
        if value != values[0]:
            raise SampleError(
                f"runs in {where} share their {what}: {runs[0].path.name} has {values[0]}, "
                f"{run.path.name} has {value}{f' ({hint})' if hint else ''}"
            )
    return values[0]


def place_in(result: xr.Dataset, run: "LoggedRun") -> int | None:
    """Where a result has a run, whatever it is called there; None where it has not.

    It is told by the digest of the last checkpoint that the result has of it.
    """
    for place, name in enumerate(result["run"].values.tolist()):
        last = last_checkpoint(result, name)
        if run.known_digest(int(last["frame"].item())) == last["checkpoint"].item():
            return place
    return None


def part_of(result: xr.Dataset, run: "LoggedRun", label: str) -> xr.Dataset | None:
    """A run's part of a result, see `place_in`.

    A record keeps the digest of its last checkpoint only: where the result ends before that, the
    label decides.

    Raises:
        FormatError: the result has a run of that label, but of another training.
    """
    place = place_in(result, run)
    if place is not None:
        return result.isel(run=place)
    if label not in result["run"].values:
        return None
    frame = int(last_checkpoint(result, label)["frame"].item())
    if not isinstance(run, Run) and frame < run.frames[-1]:
        return result.sel(run=label)
    raise FormatError(
        f"the result has another {label}: its checkpoint at frame {frame} is not this run's; make "
        "it again"
    )


def sample_attributes(samples: SampleSet) -> dict[str, Any]:
    """The samples of a result by digest and source."""
    return {
        "task": samples.task,
        "samples": samples.digest,
        "sample_sources": json.dumps([source.record() for source in samples.sources]),
        "n_train": len(samples.rows("train")),
        "n_val": len(samples.rows("val")),
    }
