"""From which layer on a stuck agent's actions vary, with another agent's activations."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FAINT, FULL_WIDTH, INK, OPTIONS, ROLES, power_of_ten
from vrlprobe.results.file import check_kind

DASHES = ("--", ":", "-.")
"""Of donors, which are drawn in ink."""


def patch(result: xr.Dataset) -> Plot:
    """Action std with each layer replaced, and how much each layer varies by itself.

    Parameters
    ----------
    result : xarray.Dataset
        What `vrlprobe.analyses.patch` returned.

    Returns
    -------
    Plot
    """
    check_kind(result, "patch")
    return Plot(draw(result), result)


def draw(result: xr.Dataset) -> Figure:
    """Left: action std by patched layer, a line a pair. Right: share of each layer that varies.

    Parameters
    ----------
    result : xarray.Dataset
        What `vrlprobe.analyses.patch` returns.
    """
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(FULL_WIDTH, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        _spreads(left, result)
        _variations(right, result)
        for ax in (left, right):
            ax.set_xticks(range(result.sizes["layer"]), result["layer"].values, rotation=90)
            ax.legend(frameon=False, fontsize=6, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def _spreads(ax: Axes, result: xr.Dataset) -> None:
    """The actions' standard deviation, a line a pair, and below what they are collapsed."""
    place = 0
    for run in result["run"].values.tolist():
        for donor in result["donor"].values.tolist():
            values = result["action_spread"].sel(run=run, donor=donor).values
            label = f"{run}, activations of {donor}"
            ax.plot(values, "o-", color=ROLES[place % len(ROLES)], ms=3.5, lw=1.1, label=label)
            place += 1
    ax.axhspan(0, ACTION_STD.threshold, color=FAINT, alpha=0.3, lw=0, label="action collapse")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("action std with the layer replaced")


def _variations(ax: Axes, result: xr.Dataset) -> None:
    """How much each layer varies by itself, of runs and donors."""
    runs = [result["variation"].sel(run=name) for name in result["run"].values]
    donors = [result["donor_variation"].sel(donor=name) for name in result["donor"].values]
    looks = [(ROLES[place % len(ROLES)], "-") for place in range(len(runs))]
    looks += [(INK, DASHES[place % len(DASHES)]) for place in range(len(donors))]
    names = [*result["run"].values, *result["donor"].values]
    for name, values, (colour, style) in zip(names, [*runs, *donors], looks, strict=True):
        shown = np.where(values > 0, values, np.nan)
        ax.plot(shown, marker="o", ls=style, color=colour, ms=3, lw=1.1, label=name)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("share of the layer that varies")
