"""How alike the layers of runs are, and how a layer changes over training."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from vrlprobe.analyses.shared.alike import classes_of, common_frames, pair_values
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FULL_WIDTH, GROUP_COLOURS, INK, OPTIONS, frame_axis, wrapped
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names, choose

MOST = 3
"""Runs of a matrix in whose cells numbers can be read."""
LABELLED = 12
"""Runs whose names a matrix can show."""
COLUMNS = 7
"""Layers across a page."""


def similarity(result: xr.Dataset, *, layers: Names = None) -> Plot:
    """How alike each layer is between runs and over training, by linear CKA.

    Parameters
    ----------
    result : xarray.Dataset
        What `vrlprobe.analyses.similarity` returned.
    layers : list of str, optional
        A column each; all if None.

    Returns
    -------
    Plot
    """
    check_kind(result, "similarity")
    there = result["layer"].values.tolist()
    drawn = result.sel(layer=choose(layers, there, "layer"))
    return Plot(draw(drawn), drawn)


def draw(result: xr.Dataset) -> Figure:
    """A matrix of runs a layer at the last frame that all have, and curves over training below.

    A solid curve compares each checkpoint with the run's last one, the dashed one is the mean over
    pairs of runs at the same frame.

    Parameters
    ----------
    result : xarray.Dataset
        What `vrlprobe.analyses.similarity` returns.
    """
    classes = classes_of(result)
    order = list(classes) or result["run"].values.tolist()
    layers = result["layer"].values.tolist()
    frames = common_frames(result)
    paired, trained = len(order) > 1 and bool(frames), result.sizes["frame"] > 1
    rows = paired + (trained or not paired)
    with mpl.rc_context(OPTIONS):
        size = FULL_WIDTH * max(len(layers), 3) / COLUMNS, 0.6 + 1.35 * rows
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, len(layers), squeeze=False, sharey="row")
        for column, layer in zip(grid.T, layers, strict=True):
            cka = result["cka"].sel(layer=layer)
            column[0].set_title(layer, loc="left")
            if paired:
                image = _matrix(column[0], cka, order, frames[-1])
            if rows > paired:
                _curves(column[-1], cka, order, classes, frames if paired else [])
        if paired:
            figure.colorbar(image, ax=grid[0].tolist(), label=f"CKA at {frames[-1]:,}", shrink=0.9)
            grid[0, 0].set_yticks(*_names(order))
        if rows > paired:
            grid[-1, 0].set_ylabel("CKA")
            handles, labels = grid[-1, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False)
    return figure


def _matrix(ax: Axes, cka: xr.DataArray, order: list[str], frame: int) -> AxesImage:
    """Every run with every other at one frame."""
    at = cka.sel(run=order, other_run=order, frame=frame, other_frame=frame).values
    image = ax.imshow(at, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    ax.set_xticks([])
    if len(order) <= MOST:
        for row, col in np.ndindex(at.shape):
            ink = "w" if at[row, col] > 0.6 else "k"
            ax.text(
                col, row, _number(float(at[row, col])), ha="center", va="center", color=ink, size=6
            )
    return image


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def _names(order: list[str]) -> tuple[list[int], list[str]]:
    shown = len(order) <= LABELLED
    return list(range(len(order))), [wrapped(name, 14) if shown else "" for name in order]


def _curves(
    ax: Axes, cka: xr.DataArray, order: list[str], classes: dict[str, str], frames: list[int]
) -> None:
    """Each run's checkpoints beside its last one, and runs beside each other."""
    told: set[str] = set()
    for run in order:
        own = cka.sel(run=run, other_run=run)
        known = np.flatnonzero(own.notnull().any("other_frame").values)
        if not known.size:
            continue
        line = own.isel(frame=known, other_frame=known[-1])
        name = classes.get(run, "run")
        label = "_" if name in told else f"{name}, with its last checkpoint"
        told.add(name)
        colour = GROUP_COLOURS.get(name, GROUP_COLOURS["good"])
        mark = "o" if len(known) < 3 else ""
        ax.plot(line["frame"], line, color=colour, lw=1.1, marker=mark, ms=2.5, label=label)
    if frames:
        pairs = (pair_values(cka, order, order, frame) for frame in frames)
        between = [float(np.mean(values)) if values else np.nan for values in pairs]
        mark = "o" if len(frames) < 3 else ""
        ax.plot(
            frames, between, color=INK, ls="--", lw=1.0, marker=mark, ms=2.5, label="between runs"
        )
    ax.set_ylim(min(-0.05, ax.get_ylim()[0]), 1.05)
    frame_axis(ax, ticks=2)
