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
from vrlprobe.results.dataset import BOUNDS, Variables, all_frames, blank, run_attributes
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

PER_RUN: Variables = {
    "task": (("run",), "", "domain and task"),
    "seed": (("run",), -1, "of the training"),
    "final_return": (("run",), np.nan, "mean return of the last checkpoint's episodes"),
    "class": (("run",), "", "good, middle or bad by the final return"),
    "verdict": (("run",), "", "on action collapse: healthy, escaped, stuck or undecided"),
    "since": (("run",), -1, "frame of the escape, or since which it is stuck"),
    "out": (
        ("run",), np.nan,
        "frame from which it is seen out of collapse, to its end, the first measurement of an "
        "attempt never in it; infinite where it ends in collapse, NaN where it has too few of them"
    ),
    "read_from": (("run",), -1, "frame of the first measurement after an update"),
    "threshold": (("run",), np.nan, "return that counts as reached"),
    "frames_to_threshold": (
        ("run",), np.nan,
        "frames until the first evaluation with that return, or to the last evaluation",
    ),
    "reached": (("run",), False, "whether the run reaches it"),
    "area_under_curve": (
        ("run",), np.nan, "area under the learning curve divided by its frames: mean return"
    ),
    "attempts": (("run",), 1, "trainings from scratch in the run"),
    "finished": (("run",), True, "whether it has its last checkpoint"),
    "last_checkpoint": (("run",), "", "SHA-256 of its parameters"),
    "episode_return": (("run", "frame"), np.nan, "mean return of the checkpoint's rollout"),
}  # fmt: skip


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
        runs: open runs or records; several tasks make strata of the intervals.
        good, bad: returns from which a run is good and up to which it is bad; each run's own
            profile's if None.
        window: see `vrlprobe.analyses.collapse`.
        by: a setting by which the runs are grouped, `init` for transplants.
        threshold: return whose first evaluation is counted; the one from which a run is good if
            None.
        seed: of the bootstrap.

    Returns:
        Dims (run,): `task`, `seed`, `final_return`, `class` (good, middle or bad by it), `verdict`
        on action collapse, `since`, the frame of the escape or since which it is stuck, `out`, the
        frame from which it is out of collapse to its end (infinite where it ends in it, NaN where
        it has too few measurements), `read_from`, the frame of the first measurement after an
        update, `threshold`, the return counted as reached, `frames_to_threshold`, frames until the
        first evaluation with it, or to the last evaluation of a run that never has it, `reached`,
        whether it has, `area_under_curve`, the area under the learning curve divided by its frames,
        `attempts`, trainings from scratch in the run, `finished`, `last_checkpoint`, its digest.
        Dims (run, frame): `episode_return`. Dims (statistic, bound): `final`,
        the mean and the interquartile mean of the final returns with the ends of their 95%
        bootstrap intervals. Scalars: `percentile_5`, `percentile_95` of the final returns,
        `deviation`, the standard deviation across the runs of a task averaged over the last ten
        evaluations, and over tasks; NaN where a task's runs do not end together. The same of each
        task, dims (each_task,): `task_runs`, `task_mean`, `task_percentile_5`,
        `task_percentile_95`, `task_deviation`; and dims (each_task, bound): `task_median_frames` to
        the threshold, Kaplan and Meier's, infinite where too few runs reach it, and
        `task_area_under_curve`, the mean.
        With `by`, dims (run,): `of_group`; (group,): `runs`, `successes` (of the class good),
        `stuck`, `ends_in_collapse` (whatever the verdict: a run that the reset rule started again
        late is undecided then), `mean_return`; (group, bound): `success`, the share of good runs;
        (group, frame): `curve`, the mean return of the good ones, and `curve_runs`, how many have
        the frame; (group, bound): `median_frames` to the threshold, Kaplan and Meier's; (group,):
        `mean_area_under_curve`.

    Raises:
        SampleError: no runs, one without checkpoints or rollouts, or without thresholds.
        ValueError: a window below 1, or a seed below 0.
    """
    check_at_least(0, seed=seed)
    if threshold is not None:
        check_finite(threshold=threshold)
    runs = logged_list(runs)
    refuse_twice(runs)
    labels = run_labels(runs)
    frames = all_frames([run.frames.tolist() for run in runs])
    result = blank({"run": labels, "frame": frames}, PER_RUN)
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
    return result if by is None else grouped(result, runs, by)


def _member(
    run: "LoggedRun", good: float | None, bad: float | None, window: int | None
) -> dict[str, Any]:
    """What a cohort says of one run, see `PER_RUN`."""
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
    """See `PER_RUN`."""
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
        The result with `of_group` (run,) and the variables of `PER_GROUP`, dims (group,),
        (group, bound) and (group, frame); groups that are numbers by size, others by name.
    """
    names = np.array([group_of(run, by) for run in runs], object)
    labels = sorted(set(names.tolist()), key=_by_size)
    found = blank(
        {"group": labels, "bound": BOUNDS, "frame": result["frame"].values.tolist()}, PER_GROUP
    )
    for label in labels:
        for name, value in _of_group(result.isel(run=np.flatnonzero(names == label))).items():
            found[name].loc[label] = value
    found = found.assign(of_group=("run", names, {"long_name": f"the run's {by}"}))
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
