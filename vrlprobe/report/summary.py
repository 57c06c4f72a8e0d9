"""A cohort in a few lines of text."""

import numpy as np
import xarray as xr

from vrlprobe.collapse.verdict import WORDS
from vrlprobe.stats.bootstrap import FEWEST
from vrlprobe.stats.classes import CLASSES


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
    for name, text in (("mean", "mean"), ("interquartile_mean", "interquartile mean")):
        value, low, high = found["final"].sel(statistic=name).values
        interval = f"{low:.0f} to {high:.0f}" if low == low else f"none: {_why_none(found)}"
        lines.append(f"final return, {text}: {value:.0f} (95% interval {interval})")
    return "\n".join([*lines, *_by_task(found)])


def _why_none(found: xr.Dataset) -> str:
    few = found["task_runs"].min() < FEWEST
    return f"a task has fewer than {FEWEST} runs" if few else "the runs are alike"


def _by_task(found: xr.Dataset) -> list[str]:
    """Percentiles and deviation as the paper has them, of each task by itself."""
    lines = []
    for task in found["each_task"].values.tolist():
        here = found.sel(each_task=task)
        low, high = here["task_percentile_5"].item(), here["task_percentile_95"].item()
        parts = [f"5th to 95th percentile over runs: {low:.0f} to {high:.0f}"]
        if (deviation := here["task_deviation"].item()) == deviation:
            parts.append(f"standard deviation across runs, last ten evaluations: {deviation:.0f}")
        if found.sizes["each_task"] == 1:
            return parts
        head = f"{task}, {here['task_runs'].item()} runs: mean {here['task_mean'].item():.0f}"
        lines.append("; ".join([head, *parts]))
    return lines
