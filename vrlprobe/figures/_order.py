"""Which layer beats which, with its significance over runs (paper, supplement B)."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.analyses._order import LEVEL
from vrlprobe.analyses._order import order as order_study
from vrlprobe.analyses.shared.average import of_class
from vrlprobe.figures._choices import (
    chosen_components,
    telling_components,
    warn_of_ends,
)
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FULL_WIDTH, OPTIONS
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names
from vrlprobe.stats.classes import Class

ACROSS = 3


def order(
    result: xr.Dataset,
    *,
    components: Names = None,
    only: Class | None = None,
    good: float | None = None,
    bad: float | None = None,
) -> Plot:
    """Which layer beats which, with its significance over runs (paper, supplement B).

    Args:
        result: what `vrlprobe.probe` returned, of at least two runs; each counts once, at its last
            frame.
        components: averaged over; those of the probe's figure if None.
        only: runs of this class.
        good, bad: thresholds of the classes; each run's own profile's if None.
    """
    check_kind(result, "probe")
    found = result if only is None else of_class(result, only, good, bad)
    if only is not None:
        warn_of_ends(result)
    names = chosen_components(found, components, telling_components(found))
    drawn = order_study(found, names)
    return Plot(draw(drawn), drawn)


def draw(found: xr.Dataset) -> Figure:
    """A panel a component: how often the layer of a row has a smaller error than that of a column.

    Purple: the row's layer is better; orange: worse. A star marks what is significant over runs.

    Args:
        found: what `vrlprobe.analyses._order.order` returns.
    """
    names, runs = found["component"].values, found.attrs["n_runs"]
    columns = 2 if len(names) == 4 else min(len(names), ACROSS)
    rows = -(-len(names) // columns)
    with mpl.rc_context(OPTIONS):
        width = FULL_WIDTH * max(columns, 1.5) / ACROSS
        figure = Figure(figsize=(width, 2.25 * rows + 0.45), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for ax in grid.ravel()[len(names) :]:
            ax.set_axis_off()
        for ax, name in zip(grid.ravel(), names, strict=False):
            mesh = _matrix(ax, found.sel(component=name))
            ax.set_title(name, loc="left")
        bar = figure.colorbar(mesh, ax=list(grid.ravel()), aspect=30, pad=0.015, fraction=0.04)
        bar.set_label("share of runs: row's error is smaller")
        bar.outline.set_visible(False)
        figure.supxlabel(_note(runs, found.attrs["runs_needed"]), fontsize=6.5)
    return figure


def _matrix(ax: Axes, part: xr.Dataset) -> mpl.image.AxesImage:
    layers = part["layer"].values
    wins, p = part["wins"].values, part["p"].values
    cmap = mpl.colormaps["PuOr"].with_extremes(bad="white")
    mesh = ax.imshow(wins, cmap=cmap, vmin=0, vmax=1, interpolation="none")
    for row, col in np.ndindex(*wins.shape):
        if row != col:
            star = "*" if p[row, col] < LEVEL else ""
            ink = "w" if abs(wins[row, col] - 0.5) > 0.35 else "k"
            text = f"{100 * wins[row, col]:.0f}{star}"
            ax.text(col, row, text, ha="center", va="center", fontsize=5.5, color=ink)
    ax.set_xticks(range(len(layers)), layers, rotation=90)
    ax.set_yticks(range(len(layers)), layers)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return mesh


def _note(runs: int, needed: int) -> str:
    note = f"{runs} runs; % of them in which the row's layer has the smaller error"
    if runs < needed:
        return f"{note}\n{needed} runs or fewer layers are needed for significance"
    return f"{note}\n* p < {LEVEL:g} over runs (Wilcoxon's signed ranks, Holm)"
