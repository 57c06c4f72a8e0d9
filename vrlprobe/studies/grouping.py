"""Runs grouped by a setting: how many succeed in each group, and how fast."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe.cohort import wilson_interval
from vrlprobe.errors import SampleError, did_you_mean
from vrlprobe.format.reader import Run
from vrlprobe.format.record import Record
from vrlprobe.speed import median_frames
from vrlprobe.studies.common import BOUNDS, Variables, blank

SCRATCH = "scratch"
"""The group of runs that began with no transplant, when runs are grouped by `init`."""
PER_GROUP: Variables = {
    "runs": (("group",), 0, "number of runs"),
    "successes": (("group",), 0, "runs of the class good"),
    "stuck": (("group",), 0, "runs with the verdict stuck"),
    "ends_in_collapse": (("group",), 0, "runs in collapse at the end, whatever the verdict"),
    "success": (("group", "bound"), np.nan, "share of good runs and its 95% Wilson interval"),
    "mean_return": (("group",), np.nan, "mean of the final returns"),
    "curve": (("group", "frame"), np.nan, "mean return of the good runs (paper, Figure 3b)"),
    "curve_runs": (("group", "frame"), 0, "good runs that have this frame"),
    "median_frames": (
        ("group", "bound"),
        np.nan,
        "Kaplan and Meier's median of the frames to the threshold",
    ),
    "mean_area_under_curve": (("group",), np.nan, "mean area under the curve divided by frames"),
}


def group_of(run: Run | Record, by: str) -> str:
    """What a run's config has under a name, as text.

    Raises:
        SampleError: it has no such setting.
    """
    if by not in run.config and by != "init":
        guess = did_you_mean(by, [*run.config, "init"], " ({})")
        raise SampleError(
            f"{run.path.name} has no setting {by!r}: `by` takes one of its config{guess}"
        )
    return str(run.config.get(by, "")) or (SCRATCH if by == "init" else "none")


def grouped(result: xr.Dataset, runs: Sequence[Run | Record], by: str) -> xr.Dataset:
    """A cohort's result with its runs grouped by a setting.

    Args:
        result: of `vrlprobe.studies.cohort` for these runs.
        runs: the same runs, in the same order.
        by: a setting in their configs; `init` puts runs from scratch into a group of their own.

    Returns:
        The result with `of_group` (run,) and the variables of `PER_GROUP`, dims (group,),
        (group, bound) and (group, frame); groups that are numbers by size, others by name.
    """
    names = np.array([group_of(run, by) for run in runs], object)
    labels = sorted(set(names.tolist()), key=_order)
    found = blank(
        {"group": labels, "bound": BOUNDS, "frame": result["frame"].values.tolist()}, PER_GROUP
    )
    for label in labels:
        for name, value in _aggregates(result.isel(run=np.flatnonzero(names == label))).items():
            found[name].loc[label] = value
    found = found.assign(of_group=("run", names, {"long_name": f"the run's {by}"}))
    return result.merge(found).assign_attrs(by=by)


def _order(label: str) -> tuple[int, float, str]:
    """Numbers by size, then words."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _aggregates(part: xr.Dataset) -> dict[str, Any]:
    good = part["class"].values == "good"
    count, successes = len(good), int(good.sum())
    curves = part["episode_return"].values[good]
    there = np.isfinite(curves).sum(axis=0)
    sums = np.nansum(curves, axis=0)
    return {
        "runs": count,
        "successes": successes,
        "stuck": int((part["verdict"].values == "stuck").sum()),
        "ends_in_collapse": int(np.isinf(part["out"].values).sum()),
        "success": [successes / count, *wilson_interval(successes, count)],
        "mean_return": float(part["final_return"].mean()),
        "curve": np.divide(sums, there, out=np.full(len(sums), np.nan), where=there > 0),
        "curve_runs": there,
        "median_frames": list(
            median_frames(part["frames_to_threshold"].values, part["reached"].values)
        ),
        "mean_area_under_curve": float(part["area_under_curve"].mean()),
    }
