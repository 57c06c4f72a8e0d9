"""A cohort in a few lines of text."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from vrlprobe.collapse.verdict import WORDS
from vrlprobe.stats.bootstrap import FEWEST
from vrlprobe.stats.classes import CLASSES

ON_COLLAPSE = "healthy: never in action collapse, which says nothing of the return"
"""What the first word of the verdicts means."""


def summary(found: xr.Dataset) -> str:
    """Counts of classes and verdicts, and the aggregates of the final returns, a line each.

    Beside the verdicts stands how many runs end in collapse: the last attempt that the reset rule
    starts is younger than its window, so that one in collapse is never stuck, but undecided.
    """
    count = found.sizes["run"]
    classes = ", ".join(f"{int((found['class'] == name).sum())} {name}" for name in CLASSES)
    words = ", ".join(f"{int((found['verdict'] == word).sum())} {word}" for word in WORDS)
    collapsed = f"{int(np.isinf(found['out']).sum())} in collapse at the end"
    lines = [f"{count} {'run' if count == 1 else 'runs'}: {classes}; {words}; {collapsed}"]
    if young := int((~found["finished"]).sum()):
        lines.append(f"{young} of them not finished, counted by the last checkpoint that there is")
    final = [_final(found)] if found.sizes["each_task"] == 1 else []
    return "\n".join([*lines, *final, *_by_task(found)])


def _final(found: xr.Dataset) -> str:
    """Mean and interquartile mean of one task's final returns; several have no common unit."""
    parts = []
    for name, text in (("mean", "mean"), ("interquartile_mean", "interquartile mean")):
        value, low, high = found["final"].sel(statistic=name).values
        interval = f" (95% interval {low:.0f} to {high:.0f})" if low == low else ""
        parts.append(f"{text} {value:.0f}{interval}")
    none = np.isnan(found["final"].sel(bound=["low", "high"])).all()
    why = f"; no 95% interval: {_why_none(found)}" if none else ""
    return f"final return: {', '.join(parts)}{why}"


def _why_none(found: xr.Dataset) -> str:
    few = found["task_runs"].min() < FEWEST
    return f"fewer than {FEWEST} runs" if few else "the runs are alike"


def median_text(bounds: Sequence[float]) -> str:
    """A median of frames with its interval: `45,000 (30,000 to never)`; never beyond the last."""
    middle, low, high = (f"{value:,.0f}" if np.isfinite(value) else "never" for value in bounds)
    if low == "never":
        return low
    return f"{middle} ({low} to {high})"


def _speed(found: xr.Dataset, task: str) -> list[str]:
    """How fast the runs of one task learn; nothing of results of older versions."""
    if "task_median_frames" not in found:
        return []
    part = found.isel(run=np.flatnonzero(found["task"].values == task))
    here = found.sel(each_task=task)
    area, low, high = here["task_area_under_curve"].values
    interval = f" ({low:.0f} to {high:.0f})" if low == low else ""
    parts = [f"mean return over training: {area:.0f}{interval}"]
    ends, reached = np.unique(part["threshold"].values), int(part["reached"].sum())
    if here["task_median_frames"].notnull().all() and len(ends) == 1:
        median = median_text(here["task_median_frames"].values.tolist())
        parts.append(
            f"frames to a return of {ends[0]:g}: median {median}, reached by {reached} of "
            f"{part.sizes['run']}"
        )
    return parts


def _by_task(found: xr.Dataset) -> list[str]:
    """Percentiles and deviation as the paper has them, of each task by itself."""
    lines = []
    for task in found["each_task"].values.tolist():
        here = found.sel(each_task=task)
        low, high = here["task_percentile_5"].item(), here["task_percentile_95"].item()
        parts = [f"5th to 95th percentile over runs: {low:.0f} to {high:.0f}"]
        if (deviation := here["task_deviation"].item()) == deviation:
            parts.append(f"standard deviation across runs, last ten evaluations: {deviation:.0f}")
        parts += _speed(found, task)
        if found.sizes["each_task"] == 1:
            return parts
        head = f"{task}, {here['task_runs'].item()} runs: mean {here['task_mean'].item():.0f}"
        lines.append("; ".join([head, *parts]))
    return lines
