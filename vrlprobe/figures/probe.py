"""Error of the probes over training: a line a layer (paper, Figure 2)."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.figures.style import (
    FAINT,
    FULL_WIDTH,
    OPTIONS,
    frame_axis,
    layer_styles,
    marked,
    wrapped,
)

REWARD_READS = ("torso_velocity", "orientations[0]", "height")
"""The paper's three components of walker_walk: velocity, joint orientation, height."""
MOST_PANELS = 3


def draw(result: xr.Dataset, components: Sequence[str] | None = None) -> Figure:
    """Test error over training: a column a component, a row a run or a class of runs.

    The raw image (cnn0) is dashed, the error of the training mean dotted, the interval of a
    class's mean a band.

    Args:
        result: what `vrlprobe.probe` or `vrlprobe.studies.averaging.by_class` returns.
        components: which to draw; the paper's three if None, or the first three.
    """
    names = list(components or default_components(result))
    by = "class" if "class" in result.dims else "run"
    rows = [(label, result.sel({by: label})) for label in result[by].values]
    with mpl.rc_context(OPTIONS):
        size = (max(FULL_WIDTH * (len(names) + 0.4) / 3.4, 3.0), 1.55 * len(rows) + 0.35)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows), len(names), squeeze=False, sharex=True, sharey="col")
        styles = layer_styles([str(name) for name in result["layer"].values])
        for axes, (label, part) in zip(grid, rows, strict=True):
            for ax, name in zip(axes, names, strict=True):
                _curves(ax, part.sel(component=name), styles)
            axes[0].set_ylabel(f"{_row_label(label, part)}\ntest MSE")
        for ax, name in zip(grid[0], names, strict=True):
            ax.set_title(name, loc="left")
            ax.set_ylim(*_limits(result.sel(component=name)))
        for ax in grid[:-1].ravel():
            ax.set_xlabel("")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False)
    return figure


def _curves(ax: Axes, part: xr.Dataset, styles: dict[str, dict[str, Any]]) -> None:
    """One component of one row; frames without a value are left out."""
    for name, style in styles.items():
        line = part.sel(layer=name)
        line = line.isel(frame=line["test_mse"].notnull().values)
        frames = line["frame"].values
        look = marked(style, len(frames))
        ax.plot(frames, line["test_mse"].values, label=name, **look)
        if "low" in line:
            band = line["low"].values, line["high"].values
            ax.fill_between(frames, *band, color=style["color"], alpha=0.18, lw=0)
    ax.axhline(part["mean_mse"].item(), color=FAINT, lw=1.0, ls=":", label="mean", zorder=0)
    frame_axis(ax)


def _row_label(label: str, part: xr.Dataset) -> str:
    if "n_runs" not in part:
        return wrapped(str(label))
    return f"{label} ({part['n_runs'].item()} of {part.attrs['n_runs']} runs)"


def _limits(part: xr.Dataset) -> tuple[float, float]:
    """From zero to what the mean predictor or nearly all errors need."""
    errors, mean = part["test_mse"].values, float(part["mean_mse"].max())
    finite = errors[np.isfinite(errors)]
    top = np.percentile(finite, 98) if len(finite) else mean
    return 0.0, 1.08 * max(min(float(top), 2 * mean), mean) or 1.0


def default_components(result: xr.Dataset) -> list[str]:
    """The paper's three where they are there, else the first ones that vary."""
    there = [str(name) for name in result["component"].values]
    known = [name for name in REWARD_READS if name in there]
    error = result["test_mse"].max([dim for dim in result["test_mse"].dims if dim != "component"])
    varied = [name for name in there if error.sel(component=name) > 0]
    return known or varied[:MOST_PANELS] or there[:MOST_PANELS]
