"""When each metric switches, beside the escape from action collapse (paper, section 5.1)."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from vrlprobe.analyses._escape import escape as escape_study
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FAINT, FULL_WIDTH, INK, OPTIONS, ROLES, SHADE, thousands
from vrlprobe.results.file import check_kind

DODGE = 0.38
"""Half the height over which a row's runs are spread, that equal lags don't hide each other."""

ROOM = 0.022
"""Inches of a row's height a run: a dot then leaves the next one to be seen."""
COLUMNS = 4
LEGEND = 0.15
"""Inches that a line of the legend takes."""

MARKS = "osD^v"
"""Of the first six runs, the next six, …: there are six colours."""


def escape(result: xr.Dataset) -> Plot:
    """Which metrics switch when runs come out of collapse, and when (paper, section 5.1).

    Args:
        result: what `vrlprobe.analyses.metrics` returned, on one sample set.
    """
    check_kind(result, "metrics")
    drawn = escape_study(result).assign_attrs(vrlprobe="escapes")
    return Plot(draw(drawn), drawn)


def draw(found: xr.Dataset) -> Figure:
    """A row a metric, the best separating on top: a dot a run where the metric switches.

    0 is the checkpoint at which the spread of actions shows the escape; the shaded strip is one
    checkpoint to either side. The bar is how well the metric tells collapsed from healthy
    checkpoints: 1 for without overlap, 0.5 for chance.

    Args:
        found: what `vrlprobe.analyses._escape.escape` returns.
    """
    told = np.abs(found["separation"].values - 0.5) + 0.5
    part = found.isel(metric=np.argsort(told, kind="stable"))
    told, names, runs = np.sort(told), part["metric"].values, part["run"].values
    rows = np.arange(len(names))
    with mpl.rc_context(OPTIONS):
        height = max(0.17, ROOM * len(runs)) * len(names)
        above = LEGEND * -(-len(runs) // COLUMNS)
        figure = Figure(figsize=(FULL_WIDTH, height + above + 0.75), layout="constrained")
        dots, bars = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        step = found.attrs["interval"]
        dots.axvspan(-step, step, color=SHADE, lw=0, zorder=-1)
        dots.axvline(0, color=FAINT, lw=0.8, zorder=-1)
        heights = np.linspace(DODGE, -DODGE, len(runs)) if len(runs) > 1 else [0.0]
        for place, (run, height) in enumerate(zip(runs, heights, strict=True)):
            lag = part["lag"].sel(run=run).values
            label = f"{run}, out at {thousands(int(part['escape'].sel(run=run)))}"
            colour = ROLES[place % len(ROLES)]
            mark = MARKS[place // len(ROLES) % len(MARKS)]
            dots.plot(lag, rows + height, mark, ms=2.2, color=colour, label=label)
        dots.set_yticks(rows, names)
        dots.set_ylim(-0.7, len(names) - 0.3)
        dots.xaxis.set_major_formatter(thousands)
        dots.set_xlabel("frames from the escape to the metric's switch")
        bars.barh(rows, told - 0.5, left=0.5, height=0.6, color=INK)
        bars.set_xlim(0.5, 1)
        bars.set_xlabel(
            f"separation of {found.attrs['n_collapsed']}\ncollapsed checkpoints\n"
            f"from {found.attrs['n_healthy']} healthy"
        )
        figure.legend(loc="outside upper center", ncols=COLUMNS, frameon=False)
    return figure
