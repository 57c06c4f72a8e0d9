"""Pictures of a probe: R² by layer and component, or errors over training (paper, Figure 2)."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vrlprobe.figures.style import FAINT, OPTIONS, layer_styles
from vrlprobe.results import last_checkpoint

REWARD_READS = ("torso_velocity", "orientations[0]", "height")
"""The paper's three components of walker_walk: velocity, joint orientation, height."""
MOST_PANELS = 3
BEST = "#d62728"


def draw(result: xr.Dataset, components: Sequence[str] | None = None) -> Figure:
    """A heat map for one frame, curves for several.

    Args:
        result: what `vrlprobe.probe` returns.
        components: which to draw; all in a heat map, three in curves, if None.
    """
    if (result["checkpoint"] != "").sum("frame").max() > 1:
        return draw_curves(result, components)
    return draw_heatmap(result, components)


def draw_heatmap(result: xr.Dataset, components: Sequence[str] | None = None) -> Figure:
    """R² on the test samples at the last frame: components down, layers across, a panel a run.

    The best layer of each component is framed. Below 0, worse than the test samples' own
    mean, the cell is grey.
    """
    names = list(components or result["component"].values)
    runs, layers = result["run"].values, result["layer"].values
    width = 1.5 + len(runs) * (0.42 * len(layers) + 0.25) + 0.6
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(width, 0.95 + 0.19 * len(names)), layout="constrained")
        axes = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
        for ax, name in zip(axes, runs, strict=True):
            last = last_checkpoint(result, str(name)).sel(component=names)
            mesh = _heat(ax, last["test_r2"].transpose("component", "layer").values)
            ax.set_title(_title(last), loc="left")
            ax.set_xticks(range(len(layers)), layers)
            ax.set_yticks(range(len(names)), names)
        bar = figure.colorbar(mesh, ax=list(axes), aspect=30, pad=0.015, fraction=0.05)
        bar.set_label("R² on test episodes")
        bar.outline.set_visible(False)
    return figure


def _heat(ax: Axes, values: np.ndarray) -> Any:
    cmap = mpl.colormaps["cividis"].with_extremes(under="#dddddd", bad="white")
    norm = Normalize(0, 1)
    values = np.where((values < 0) & (values > -0.005), 0.0, values)  # what rounds to 0 is 0
    mesh = ax.imshow(values, cmap=cmap, norm=norm, aspect="auto", interpolation="nearest")
    for row, col in np.ndindex(*values.shape):
        value = values[row, col]
        dark = 0 <= value < 0.55
        text = "-" if np.isnan(value) else "<0" if value < 0 else f"{value:.2f}"
        ax.text(col, row, text, ha="center", va="center", fontsize=6.5, color="w" if dark else "k")
    for row, line in enumerate(values):
        if np.isfinite(line).any() and np.nanmax(line) >= 0.005:
            best = int(np.nanargmax(line))
            frame = Rectangle((best - 0.46, row - 0.44), 0.92, 0.88, fill=False, ec=BEST, lw=1.3)
            ax.add_patch(frame)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return mesh


def draw_curves(result: xr.Dataset, components: Sequence[str] | None = None) -> Figure:
    """Test error over training, a line a layer: a row of panels a run, a column a component.

    As the paper's Figure 2, with the raw image (cnn0) dashed and the error of the training mean
    dotted.
    """
    names = list(components or _default_components(result))
    runs = result["run"].values
    with mpl.rc_context(OPTIONS):
        size = (2.5 * len(names) + 0.9, 1.95 * len(runs) + 0.35)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(runs), len(names), squeeze=False, sharex=True, sharey="col")
        styles = layer_styles([str(name) for name in result["layer"].values])
        for row, run in zip(grid, runs, strict=True):
            for ax, name in zip(row, names, strict=True):
                _curves(ax, result.sel(run=run, component=name), styles)
            row[0].set_ylabel(f"{run}\ntest MSE" if len(runs) > 1 else "test MSE")
        for ax, name in zip(grid[0], names, strict=True):
            ax.set_title(name, loc="left")
        for ax in grid[-1]:
            ax.set_xlabel("frame")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=7.5)
    return figure


def _curves(ax: Axes, result: xr.Dataset, styles: dict[str, dict[str, Any]]) -> None:
    """One component of one run; the frames that the run lacks are left out."""
    for name, style in styles.items():
        line = result["test_mse"].sel(layer=name).dropna("frame")
        ax.plot(line["frame"].values, line.values, label=name, **style)
    ax.axhline(result["mean_mse"].item(), color=FAINT, lw=1.0, ls=":", label="mean", zorder=0)
    low, high = _limits(result["test_mse"].values, result["mean_mse"].item())
    ax.set_ylim(low, high)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(_thousands))


def _limits(errors: np.ndarray, mean: float) -> tuple[float, float]:
    """From zero to what the mean predictor or nearly all errors need."""
    finite = errors[np.isfinite(errors)]
    top = np.percentile(finite, 98) if len(finite) else mean
    return 0.0, 1.08 * max(min(float(top), 2 * mean), mean) or 1.0


def _thousands(value: float, _: object = None) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _default_components(result: xr.Dataset) -> list[str]:
    """The paper's three where they are there, else the first ones that vary."""
    there = [str(name) for name in result["component"].values]
    known = [name for name in REWARD_READS if name in there]
    varied = [name for name in there if np.isfinite(result["test_r2"].sel(component=name)).any()]
    return known or varied[:MOST_PANELS] or there[:MOST_PANELS]


def _title(last: xr.Dataset) -> str:
    frame, value = last["frame"].item(), last["episode_return"].item()
    return f"{last['run'].item()}, frame {_thousands(frame)}, return {value:.0f}"
