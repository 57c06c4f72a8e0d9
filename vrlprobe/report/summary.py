"""A cohort in a few lines of text."""

import xarray as xr

from vrlprobe.cohort import CLASSES, FEWEST
from vrlprobe.collapse import WORDS


def summary(found: xr.Dataset) -> str:
    """Counts of classes and verdicts, and the aggregates of the final returns, a line each."""
    count = found.sizes["run"]
    classes = ", ".join(f"{int((found['class'] == name).sum())} {name}" for name in CLASSES)
    words = ", ".join(f"{int((found['verdict'] == word).sum())} {word}" for word in WORDS)
    lines = [f"{count} {'run' if count == 1 else 'runs'}: {classes}; {words}"]
    for name, text in (("mean", "mean"), ("interquartile_mean", "interquartile mean")):
        value, low, high = found["final"].sel(statistic=name).values
        interval = (
            f"none: a task has fewer than {FEWEST} runs"
            if low != low
            else f"{low:.0f} to {high:.0f}"
        )
        lines.append(f"final return, {text}: {value:.0f} (95% interval {interval})")
    low, high = found["percentile_5"].item(), found["percentile_95"].item()
    lines.append(f"5th to 95th percentile over runs: {low:.0f} to {high:.0f}")
    if (deviation := found["deviation"].item()) == deviation:
        lines.append(f"standard deviation across runs, last ten evaluations: {deviation:.0f}")
    return "\n".join(lines)
