"""Error of the probes over training: a line a layer (paper, Figure 2)."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.errors import SampleError
from vrlprobe.figures._choices import (
    By,
    check_by,
    chosen_components,
    chosen_rows,
    is_curve,
    telling_components,
)
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import (
    FAINT,
    FULL_WIDTH,
    OPTIONS,
    frame_axis,
    layer_styles,
    marked,
    wrapped,
)
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names


def probe(
    result: xr.Dataset,
    *,
    components: Names = None,
    by: By | None = None,
    good: float | None = None,
    bad: float | None = None,
) -> Plot:
    """Test error over training, a line a layer (paper, Figure 2).

    Args:
        result: what `vrlprobe.probe` returned, of several frames.
        components: a column each; if None three, those that the task's reward reads, then those
            that a layer has best.
        by: a row a class of agents by their return at the end, with the 95% interval of the mean,
            or a row a run; classes if None, where there are several runs of which they are known.
        good, bad: thresholds of the classes; each run's own profile's if None.

    Raises:
        SampleError: one frame alone, or classes that are not known.
    """
    check_kind(result, "probe")
    check_by(by)
    if not is_curve(result):
        raise SampleError(
            "a curve needs several frames, this result has one of each run: probe all frames, or "
            "draw its layers (figures.layers, `vrlprobe plot layers`)"
        )
    names = chosen_components(result, components, telling_components(result))
    drawn = chosen_rows(result, names, by, good, bad)
    return Plot(draw(drawn, names), drawn)


def draw(result: xr.Dataset, components: Sequence[str]) -> Figure:
    """Test error over training: a column a component, a row a run or a class of runs.

    The raw image (cnn0) is dashed, the error of the training mean dotted, the 95% interval of a
    class's mean a band. How far curves go that leave their panel stands above it.

    Args:
        result: what `vrlprobe.probe` or `vrlprobe.analyses.shared.average.by_class` returns.
        components: a column each.
    """
    names = list(components)
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
        for axes, (_, part) in zip(grid, rows, strict=True):
            for ax, name in zip(axes, names, strict=True):
                _mark_cut(ax, part["test_mse"].sel(component=name).values)
        if "low" in result and result["low"].notnull().any():
            figure.supxlabel("line: mean over runs; band: its 95% interval", fontsize=6)
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


def _mark_cut(ax: Axes, errors: npt.NDArray[np.float64]) -> None:
    """How far the curves go, where a few errors are beyond the axis."""
    largest = max(errors[np.isfinite(errors)], default=0.0)
    if largest > ax.get_ylim()[1]:
        ax.set_title(f"up to {largest:.2g} ↑", loc="right", fontsize=6)


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
