"""How collapsed a run is over training: one metric a column, one run a row (paper, Figure 4)."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, SymmetricalLogLocator

from vrlprobe.collapse.phases import spans
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import (
    FULL_WIDTH,
    INK,
    OPTIONS,
    SHADE,
    frame_axis,
    layer_styles,
    marked,
    power_of_ten,
    wrapped,
)
from vrlprobe.metrics.registry import AGENT, LAYERED
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names, choose

Floats = npt.NDArray[np.float64]

HEADINGS = {name: item.heading for name, item in (LAYERED | AGENT).items()}
PAPERS = ("episode_return", "numerical_rank", "correlation_samples", "dead_units", "grad_norm")
"""The columns of the paper's Figures 4, 8 and 9."""
PAPERS_LAYERS = ("mlp1", "mlp2")
FLOORS = {"grad_norm": 1e-6}
"""Metrics on a logarithmic axis, linear below this."""


def metrics(result: xr.Dataset, *, metrics: Names = None, layers: Names = None) -> Plot:
    """Return, rank, correlation, zeros, gradient norm (paper, Figures 4, 8, 9), collapse shaded.

    Args:
        result: what `vrlprobe.analyses.metrics` returned; a row a run.
        metrics: its variables, a column each; the paper's if None.
        layers: a line each; mlp1 and mlp2 if None.
    """
    check_kind(result, "metrics")
    drawable = [str(n) for n, v in result.data_vars.items() if v.dtype.kind == "f"]
    columns = choose(metrics, drawable, "metric", PAPERS)
    there = result["layer"].values.tolist()
    lines = choose(layers, there, "layer", PAPERS_LAYERS)
    return Plot(draw(result, columns, lines), result)


def draw(
    result: xr.Dataset,
    metrics: Sequence[str] = PAPERS,
    layers: Sequence[str] = PAPERS_LAYERS,
) -> Figure:
    """Return, rank, correlation, zeros and gradient norm over training, collapse shaded.

    Args:
        result: what `vrlprobe.analyses.metrics` returns.
        metrics: its variables to draw, a column each.
        layers: a line each, where the metric is one of layers.
    """
    runs = result["run"].values
    with mpl.rc_context(OPTIONS):
        size = (FULL_WIDTH * max(len(metrics), 2) / len(PAPERS), 1.05 * len(runs) + 0.55)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(runs), len(metrics), squeeze=False, sharex=True, sharey="col")
        for row, (axes, run) in enumerate(zip(grid, runs, strict=True)):
            part = result.sel(run=run)
            part = part.isel(frame=part["checkpoint"].values != "")
            for ax, name in zip(axes, metrics, strict=True):
                _shade(ax, part)
                _mark_resets(ax, part)
                _lines(ax, part[name], layers, part["attempt"].values)
                ax.set_title(HEADINGS.get(name, name) if row == 0 else "", loc="left")
                ax.set_xlabel("frame" if row == len(runs) - 1 else "")
            axes[0].set_ylabel(wrapped(str(run)))
        for axes, name in zip(grid.T, metrics, strict=True):
            drawn = _known(result[name], layers)
            for ax, run in zip(axes, runs, strict=True):
                if not _known(result[name].sel(run=run), layers).size:
                    _say_not_measured(ax)
                if not drawn.size:
                    ax.set_yticks([])
                    ax.yaxis.set_minor_locator(NullLocator())
                elif name in FLOORS:
                    _whole_decades(ax, drawn, FLOORS[name])
        handles = {
            label: handle
            for ax in grid.flat  # shading is in the rows of runs in collapse alone
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper right", ncols=4, frameon=False
        )
    return figure


def _lines(
    ax: Axes, values: xr.DataArray, layers: Sequence[str], attempts: npt.NDArray[np.int64]
) -> None:
    if "layer" in values.dims:
        for name, style in layer_styles(list(layers)).items():
            frames, line = _broken(values.sel(layer=name), attempts)
            ax.plot(frames, line, label=name, **marked(style, line.size))
    else:
        frames, line = _broken(values, attempts)
        alone = "o" if line.size == 1 else ""
        ax.plot(frames, line, color=INK, lw=1.2, marker=alone, ms=3)
    if values.name in FLOORS:
        floor = FLOORS[str(values.name)]
        ax.set_yscale("symlog", linthresh=floor)
        locator = SymmetricalLogLocator(base=10, linthresh=floor)
        locator.set_params(numticks=5)
        ax.yaxis.set_major_locator(locator)
        ax.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
    frame_axis(ax, ticks=3)


def _known(values: xr.DataArray, layers: Sequence[str]) -> Floats:
    """The values that are drawn: those of the layers, as far as they were measured."""
    drawn = values.sel(layer=list(layers)).values if "layer" in values.dims else values.values
    known: Floats = drawn[np.isfinite(drawn)]
    return known


def _say_not_measured(ax: Axes) -> None:
    """Say so where a panel has no line, as of the zeros of a layer that is no ReLU."""
    ax.text(0.5, 0.5, "not measured", ha="center", va="center", transform=ax.transAxes)


def _whole_decades(ax: Axes, drawn: Floats, floor: float) -> None:
    """Limits with two ticks at least where a logarithmic axis has few values."""
    if drawn.max() <= floor:  # else ticks lie over each other
        ax.set_ylim(min(-0.2 * floor, 1.2 * drawn.min()), 10 * floor)
    elif (least := drawn.min()) > floor and drawn.max() < 10 * least:
        low = 10.0 ** np.floor(np.log10(least))
        ax.set_ylim(low, low * 10 ** np.ceil(np.log10(drawn.max() * 1.01 / low)))


def _broken(values: xr.DataArray, attempts: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Frames and values that are known, with a gap where another attempt begins."""
    known = np.isfinite(values.values)
    frames, line = values["frame"].values[known].astype(float), values.values[known]
    gaps = np.flatnonzero(np.diff(attempts[known]) > 0) + 1
    return np.insert(frames, gaps, np.nan), np.insert(line, gaps, np.nan)


def _shade(ax: Axes, part: xr.Dataset) -> None:
    """Stretches of collapse, each to the first checkpoint after it."""
    columns = (part[name].values.tolist() for name in ("stage", "stage_begin", "stage_end"))
    label: str | None = "in collapse"
    for first, last in spans(zip(*columns, strict=True), int(part["frame"].values[-1])):
        ax.axvspan(first, last, color=SHADE, lw=0, zorder=-1, label=label)
        label = None


def _mark_resets(ax: Axes, part: xr.Dataset) -> None:
    """A dotted line at the last checkpoint before each reset."""
    label: str | None = "reset"
    for frame in part["frame"].values[:-1][np.diff(part["attempt"].values) > 0]:
        ax.axvline(frame, color=INK, ls=":", lw=0.9, label=label)
        label = None
