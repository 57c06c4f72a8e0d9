"""Returns of cohorts over training (paper, Figure 5)."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.figures.style import COLUMN_WIDTH, FULL_WIDTH, OPTIONS, ROLES, frame_axis

BAND, INTERVAL = 0.15, 0.35


def draw(curves: xr.Dataset) -> Figure:
    """Mean return over training, a line a cohort, a panel a task.

    The light band goes from the 5th to the 95th percentile over runs; the narrow dark one is the
    95% interval of the mean, which says how well so many runs determine it.

    Args:
        curves: what `vrlprobe.studies.averaging.returns` returns.
    """
    tasks = curves["task"].values
    with mpl.rc_context(OPTIONS):
        width = COLUMN_WIDTH if len(tasks) == 1 else FULL_WIDTH * min(len(tasks), 3) / 3
        figure = Figure(figsize=(width, 2.6), layout="constrained")
        for ax, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
            here = curves.sel(task=task)
            for place, name in enumerate(here["cohort"].values):
                _cohort(ax, here.sel(cohort=name), str(name), ROLES[place % len(ROLES)])
            ax.set_title(task, loc="left")
            ax.set_ylim(bottom=0)
            frame_axis(ax)
            ax.legend(loc="best", frameon=False)
        figure.axes[0].set_ylabel("return")
        figure.supxlabel(
            "line: mean; light band: 5th to 95th percentile over runs;\n"
            "dark band: 95% interval of the mean",
            fontsize=6,
        )
    return figure


def _cohort(ax: Axes, curve: xr.Dataset, name: str, colour: str) -> None:
    there = curve.isel(frame=np.flatnonzero(curve["mean"].notnull()))
    if not there.sizes["frame"]:
        return
    frames, count = there["frame"].values, int(there["n_runs"])
    label = f"{name} ({count} run{'s' if count > 1 else ''})"
    alone = "o" if len(frames) == 1 else ""
    ax.plot(frames, there["mean"].values, color=colour, lw=1.4, label=label, marker=alone, ms=3)
    outer = there["percentile_5"].values, there["percentile_95"].values
    inner = there["mean_low"].values, there["mean_high"].values
    ax.fill_between(frames, *outer, color=colour, alpha=BAND, lw=0)
    ax.fill_between(frames, *inner, color=colour, alpha=INTERVAL, lw=0)
