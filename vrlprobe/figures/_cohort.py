"""Returns of cohorts over training (paper, Figure 5)."""

import warnings
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.analyses.shared.average import returns
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import COLUMN_WIDTH, FULL_WIDTH, OPTIONS, ROLES, frame_axis
from vrlprobe.results.file import check_kind, check_named

BAND, INTERVAL, EDGE = 0.15, 0.35, 0.7
"""How opaque they are; the band's edge tells whose it is where bands lie over each other."""


def cohort(cohorts: xr.Dataset | Mapping[str, xr.Dataset]) -> Plot:
    """Returns of cohorts over training (paper, Figure 5).

    Args:
        cohorts: what `vrlprobe.analyses.cohort` returned, by the names of the lines; or one.
    """
    named = {"all runs": cohorts} if isinstance(cohorts, xr.Dataset) else cohorts
    check_named(named)
    for name, result in named.items():
        check_kind(result, "cohort")
        if "group" in result.dims:
            warnings.warn(
                f"{name} is grouped by {result.attrs.get('by')}, all its runs are drawn as one: "
                "figures.transplant (`vrlprobe plot transplant`) draws the groups",
                UserWarning,
                stacklevel=2,
            )
    drawn = returns(named).assign_attrs(vrlprobe="returns")
    return Plot(draw(drawn), drawn)


def draw(curves: xr.Dataset) -> Figure:
    """Mean return over training, a line a cohort, a panel a task.

    The light band goes from the 5th to the 95th percentile over runs; the narrow dark one is the
    95% interval of the mean, which says how well so many runs determine it.

    Args:
        curves: what `vrlprobe.analyses.shared.average.returns` returns.
    """
    tasks = curves["task"].values
    with mpl.rc_context(OPTIONS):
        width = COLUMN_WIDTH if len(tasks) == 1 else FULL_WIDTH * min(len(tasks), 3) / 3
        lines = int(curves["mean"].notnull().any("frame").sum("cohort").max())
        figure = Figure(figsize=(width, 2.5 + 0.14 * lines), layout="constrained")
        for ax, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
            here = curves.sel(task=task)
            for place, name in enumerate(here["cohort"].values):
                _cohort(ax, here.sel(cohort=name), str(name), ROLES[place % len(ROLES)])
            ax.set_title(task, loc="left", pad=10.5 * lines + 5)
            ax.set_ylim(bottom=0)
            frame_axis(ax)
            # above the axes, as bands fill them
            ax.legend(
                loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, frameon=False,
                borderpad=0.2, labelspacing=0.3,
            )  # fmt: skip
        figure.axes[0].set_ylabel("return")
        figure.supxlabel(_note(curves), fontsize=6)
    return figure


def _note(curves: xr.Dataset) -> str:
    """What is drawn: bands need several runs, the interval some more."""
    if curves["n_runs"].max() < 2:
        return ""
    note = "line: mean; light band: 5th to 95th percentile over runs"
    if curves["mean_low"].notnull().any():
        note += ";\ndark band: 95% interval of the mean"
    return note


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
    edge: dict[str, Any] = {"facecolor": (colour, BAND), "edgecolor": (colour, EDGE), "lw": 0.5}
    ax.fill_between(frames, *outer, **edge)
    ax.fill_between(frames, *inner, color=colour, alpha=INTERVAL, lw=0)
