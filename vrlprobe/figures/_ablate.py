"""What removing a component's direction does to the return, beside the controls."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FAINT, FULL_WIDTH, INK, OPTIONS, ROLES
from vrlprobe.results.file import check_kind

NAMES = {
    "intact": "intact",
    "probe": "probe's direction",
    "random": "random, same variance",
    "shuffled": "shuffled targets",
    "units": "strongest units",
}
"""Conditions in words."""


def ablate(result: xr.Dataset) -> Plot:
    """Change of return, change of actions, and R² of a fresh probe under each condition.

    Parameters
    ----------
    result : xarray.Dataset
        What `vrlprobe.analyses.ablate` returned.

    Returns
    -------
    Plot
    """
    check_kind(result, "ablate")
    return Plot(draw(result), result)


def draw(result: xr.Dataset) -> Figure:
    """A row a condition; the bar is the 95% interval over runs, or over episodes of a lone run.

    Parameters
    ----------
    result : xarray.Dataset
        What `vrlprobe.analyses.ablate` returns.
    """
    played = result.sizes["episode"] > 0
    component, layer = result.attrs["component"], result.attrs["layer"]
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(FULL_WIDTH, 1.9), layout="constrained")
        axes = figure.subplots(1, 2 + played, sharey=True, squeeze=False)[0]
        if played:
            _returns(axes[0], result)
        _values(axes[-2], result["action_rmse"], "change of actions (rms)")
        _values(axes[-1], result["test_r2"], f"R² of a fresh probe,\n{component}")
        names = result["condition"].values.tolist()
        axes[0].set_yticks(range(len(names)), [NAMES[name] for name in names])
        axes[0].invert_yaxis()
        figure.suptitle(f"{component} removed from {layer}", x=0.01, ha="left", fontsize=8)
    return figure


def _returns(ax: Axes, result: xr.Dataset) -> None:
    """Change of return with its interval, and each run's own."""
    several = result.sizes["run"] > 1
    change = result["mean_change"] if several else result["return_change"].isel(run=0)
    value, low, high = change.values.T
    if several:
        _dots(ax, result["return_change"].sel(bound="estimate").values)
    ax.axvline(0, color=INK, lw=0.6, ls=":")
    ends = np.nan_to_num([value - low, high - value])
    for place in range(len(value)):
        colour = ROLES[1] if place == 1 else INK
        ax.errorbar(
            value[place], place, xerr=ends[:, [place]], fmt="o", color=colour, ms=4, capsize=2, lw=1
        )
    over = "runs" if several else "episodes"
    told = f",\n95% interval over {over}" if np.isfinite(low).any() else ""
    ax.set_xlabel(f"change of return{told}")


def _dots(ax: Axes, values: np.ndarray) -> None:
    """Each run's own values (n_runs, n_conditions), faint."""
    for run in values:
        ax.plot(run, range(len(run)), "o", color=FAINT, ms=2.5, mec="none")


def _values(ax: Axes, values: xr.DataArray, title: str) -> None:
    """Mean over runs and draws, and each run's own."""
    each = values.mean("draw").transpose("run", "condition").values
    _dots(ax, each)
    mean = each.mean(axis=0)
    for place, value in enumerate(mean):
        ax.plot(value, place, "o", color=ROLES[1] if place == 1 else INK, ms=4)
    ax.set_xlabel(title)
    ax.margins(x=0.12)
