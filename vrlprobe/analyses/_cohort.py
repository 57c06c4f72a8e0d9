"""Runs taken together, with the classes and verdicts of each."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe._checks import check_at_least, check_finite
from vrlprobe.analyses._collapse import judged
from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.collapse.measurements import Measurements
from vrlprobe.collapse.verdict import Verdict
from vrlprobe.errors import SampleError, did_you_mean
from vrlprobe.results.dataset import BOUNDS, all_frames, run_attributes
from vrlprobe.results.schemas.cohort import COHORT
from vrlprobe.runs.collection import Logged, logged_list, refuse_twice
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.settings import number, whole
from vrlprobe.samples.classes import run_class
from vrlprobe.samples.selection import run_labels
from vrlprobe.stats.bootstrap import (
    LAST_EVALUATIONS,
    bootstrap_interval,
    final_deviation,
    interquartile_mean,
    mean,
    percentiles,
    wilson_interval,
)
from vrlprobe.stats.speed import area_under_curve, frames_to_threshold, median_frames


@COHORT.documented
def cohort(
    runs: Logged,
    *,
    good: float | None = None,
    bad: float | None = None,
    window: int | None = None,
    by: str | None = None,
    threshold: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Classes by return, verdicts on collapse, and aggregates over several runs.

    Args:
        runs: open runs or records; several tasks make strata of the intervals. One whose last
            return is NaN or infinite is left out with a warning.
        good, bad: returns from which a run is good and up to which it is bad; each run's own
            profile's if None.
        window: see `vrlprobe.analyses.collapse`.
        by: a setting by which the runs are grouped, `init` for transplants.
        threshold: return whose first evaluation is counted; the one from which a run is good if
            None.
        seed: of the bootstrap.

    Returns:
        The variables below. Those of `each_task` are of the runs of one task; with `by`, those of
        `group` are of the runs of one group. Groups that are numbers are sorted by size.

        {variables}

    Raises:
        SampleError: no runs, one without checkpoints or thresholds, or none with a finite return.
        ValueError: a window below 1, or a seed below 0.
    """
    check_at_least(0, seed=seed)
    if threshold is not None:
        check_finite(threshold=threshold)
    runs = logged_list(runs)
    refuse_twice(runs)
    runs = _with_return(runs)
    labels = run_labels(runs)
    frames = all_frames([run.frames.tolist() for run in runs])
    result = COHORT.blank({"run": labels, "frame": frames})
    for label, run in zip(labels, runs, strict=True):
        for name, value in _member(run, good, bad, window).items():
            result[name].loc[label] = value
        result["episode_return"].loc[label, run.frames] = run.returns
        wanted = good if threshold is None else threshold
        result["threshold"].loc[label] = number(run, "good_return") if wanted is None else wanted
    _fill_speeds(result)
    if young := result["run"].values[~result["finished"].values].tolist():
        warnings.warn(
            f"not finished, and counted by the last checkpoint that there is: {', '.join(young)}",
            stacklevel=2,
        )
    arguments = {
        "good": good, "bad": bad, "window": window, "by": by, "threshold": threshold, "seed": seed
    }  # fmt: skip
    attributes = run_attributes("cohort", runs, arguments)
    result = result.assign(_aggregates(result, seed)).assign_attrs(attributes)
    return COHORT.labelled(result if by is None else grouped(result, runs, by))


def _with_return(runs: Sequence[LoggedRun]) -> list[LoggedRun]:
    """The runs whose last return is finite, with a warning of the others; all if none is."""
    kept = [run for run in runs if not len(run.returns) or np.isfinite(run.returns[-1])]
    if not kept or len(kept) == len(runs):
        return list(runs)
    spoilt = [f"{run.path.name} ({run.returns[-1]:g})" for run in runs if run not in kept]
    warnings.warn(
        f"left out, as their last return is no finite number: {', '.join(spoilt)}", stacklevel=3
    )
    return kept


def _member(
    run: "LoggedRun", good: float | None, bad: float | None, window: int | None
) -> dict[str, Any]:
    """What a cohort says of one run, see `COHORT`."""
    read, verdict = judged(run, window=window)
    final = float(run.returns[-1])
    return {
        "task": str(run.config.get("task", "unknown")),
        "seed": whole(run, "seed", -1),
        "final_return": final,
        "class": run_class(run, final, good, bad),
        "verdict": verdict.word,
        "since": -1 if verdict.frame is None else verdict.frame,
        "out": _out(verdict),
        "read_from": _read_from(read),
        "attempts": int(read.attempts[-1]),
        "finished": run.finished,
        "last_checkpoint": run.known_digest(int(run.frames[-1])),
    }


def _read_from(read: Measurements) -> int:
    known = np.flatnonzero(np.isfinite(read.values[ACTION_STD.name]))
    return int(read.frames[known[0]]) if len(known) else -1


def _out(verdict: Verdict) -> float:
    """See `COHORT`."""
    if not verdict.phases:
        return float("nan")
    if verdict.phases[-1].collapsed:
        return float("inf")
    return verdict.phases[-1].first


def _fill_speeds(result: xr.Dataset) -> None:
    """Fill in how fast each run learns."""
    frames, curves = result["frame"].values, result["episode_return"].values
    known = np.flatnonzero(np.isfinite(curves).any(axis=1))  # the others have no evaluation
    reached = frames_to_threshold(frames, curves[known], result["threshold"].values[known])
    result["frames_to_threshold"][known], result["reached"][known] = reached
    result["area_under_curve"][:] = area_under_curve(frames, curves)


def _aggregates(result: xr.Dataset, seed: int) -> dict[str, Any]:
    final, tasks = result["final_return"].values, result["task"].values.tolist()
    statistics = {"mean": mean, "interquartile_mean": interquartile_mean}
    rows = [
        [statistic(final), *bootstrap_interval(final, statistic, strata=tasks, seed=seed)]
        for statistic in statistics.values()
    ]
    coords = {"statistic": list(statistics), "bound": list(BOUNDS)}
    low, high = percentiles(final)
    names = list(dict.fromkeys(tasks))
    parts = [result.isel(run=[one == name for one in tasks]) for name in names]
    each, speeds = [_of_task(part) for part in parts], [_speeds(part, seed) for part in parts]
    by_task = {
        key: xr.DataArray([part[key] for part in each], {"each_task": names}, ("each_task",))
        for key in each[0]
    }
    return {
        "final": xr.DataArray(rows, coords, ("statistic", "bound")),
        "percentile_5": low,
        "percentile_95": high,
        "deviation": mean(by_task["task_deviation"]),
        **by_task,
        **{
            key: (("each_task", "bound"), np.array([one[key] for one in speeds]))
            for key in speeds[0]
        },
    }


def _speeds(part: xr.Dataset, seed: int) -> dict[str, tuple[float, float, float]]:
    """Frames to the threshold, and area under the curve, of the runs of one task."""
    areas = part["area_under_curve"].values
    return {
        "task_median_frames": median_frames(
            part["frames_to_threshold"].values, part["reached"].values
        ),
        "task_area_under_curve": (mean(areas), *bootstrap_interval(areas, mean, seed=seed)),
    }


def _of_task(part: xr.Dataset) -> dict[str, float]:
    """Aggregates of the runs of one task; of tasks together they would mix rewards of two kinds."""
    final = part["final_return"].values
    low, high = percentiles(final)
    curves = part["episode_return"].dropna("frame", how="all").values
    return {
        "task_runs": len(final),
        "task_mean": mean(final),
        "task_percentile_5": low,
        "task_percentile_95": high,
        "task_deviation": final_deviation(curves, LAST_EVALUATIONS),
    }


SCRATCH = "scratch"
"""The group of runs that began with no transplant, when runs are grouped by `init`."""


def group_of(run: LoggedRun, by: str) -> str:
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


def grouped(result: xr.Dataset, runs: Sequence[LoggedRun], by: str) -> xr.Dataset:
    """A cohort's result with its runs grouped by a setting.

    Args:
        result: of `vrlprobe.analyses.cohort` for these runs.
        runs: the same runs, in the same order.
        by: a setting in their configs; `init` puts runs from scratch into a group of their own.

    Returns:
        The result with `of_group` (run,) and the variables of `group`; groups that are
        numbers by size, others by name.
    """
    names = np.array([group_of(run, by) for run in runs], object)
    labels = sorted(set(names.tolist()), key=_by_size)
    coords = {"group": labels, "bound": BOUNDS, "frame": result["frame"].values.tolist()}
    found = COHORT.blank(coords, "by")
    for label in labels:
        for name, value in _of_group(result.isel(run=np.flatnonzero(names == label))).items():
            found[name].loc[label] = value
    found = found.assign(of_group=("run", names))
    return result.merge(found).assign_attrs(by=by)


def _by_size(label: str) -> tuple[int, float, str]:
    """Numbers by size, then words."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _of_group(part: xr.Dataset) -> dict[str, Any]:
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
