"""Where the probes of two groups of runs differ: score by group and layer, and the contrast."""

import json
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import COLUMN_WIDTH, FULL_WIDTH, GROUP_COLOURS, INK, OPTIONS
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names, choose
from vrlprobe.stats.contrast import LEVEL

ACROSS = 4
"""Components drawn where none are named."""
STEP = 0.14
"""How far groups stand apart along x, that their intervals do not hide each other."""


def contrast(result: xr.Dataset, *, components: Names = None) -> Plot:
    """Where the probes of two groups of runs differ: score by layer, and the contrast.

    Args:
        result: what `vrlprobe.analyses.contrast` returned.
        components: a column each, `mean` for the mean over components; the first four if None.
    """
    check_kind(result, "contrast")
    there = result["component"].values.tolist()
    drawn = result.sel(component=choose(components, there, "component", there[:ACROSS]))
    return Plot(draw(drawn), drawn)


def draw(found: xr.Dataset) -> Figure:
    """Upper row: mean score by group and layer; lower row: difference in differences by layer.

    Bars are 95% bootstrap intervals; a star marks what is significant over the layers.

    Args:
        found: what `vrlprobe.analyses.contrast` returns.
    """
    names = found["component"].values.tolist()
    score = json.loads(found.attrs["arguments"])["score"]
    with mpl.rc_context(OPTIONS):
        width = max(COLUMN_WIDTH, FULL_WIDTH * len(names) / ACROSS)
        figure = Figure(figsize=(width, 4.0), layout="constrained")
        grid = figure.subplots(2, len(names), squeeze=False)
        for (upper, lower), name in zip(grid.T, names, strict=True):
            part = found.sel(component=name)
            _groups(upper, part, score)
            _contrast(lower, part, found.attrs["reference"])
            count = f" of {found.attrs['n_components']} components" if name == "mean" else ""
            upper.set_title(f"{name}{count}", loc="left")
        grid[0, 0].set_ylabel("test R²" if score == "r2" else "test error (geometric mean)")
        grid[1, 0].set_ylabel(f"contrast with {found.attrs['reference']}")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False)
        figure.supxlabel(
            _note(found, score),
            fontsize=6.5,
        )
    return figure


def _note(found: xr.Dataset, score: str) -> str:
    unit = "R²" if score == "r2" else "log error"
    base, other, reference = (found.attrs[key] for key in ("base", "other", "reference"))
    return (
        f"contrast: {unit} of {other} minus that of {base} runs, minus the same at {reference}\n"
        f"bars: 95% intervals over runs (none below six); * p < {LEVEL:g} after Holm's correction "
        "for the layers"
    )


def _groups(ax: Axes, part: xr.Dataset, score: str) -> None:
    """Mean score of each group at each layer."""
    groups, layers = part["group"].values.tolist(), part["layer"].values.tolist()
    for place, group in enumerate(groups):
        values = part["group_score"].sel(group=group).values
        mean, low, high = (values if score == "r2" else np.exp(values)).T
        x = np.arange(len(layers)) + STEP * (place - (len(groups) - 1) / 2)
        style: dict[str, Any] = {
            "color": GROUP_COLOURS[group],
            "ms": 3,
            "lw": 0.9,
            "capsize": 1.5,
            "elinewidth": 0.8,
        }
        label = f"{group} ({int(part['n_runs'].sel(group=group))} runs)"
        ends = np.nan_to_num([mean - low, high - mean])
        ax.errorbar(x, mean, ends, fmt="o-", label=label, **style)
    ax.set_xticks(range(len(layers)), layers, rotation=90)


def _contrast(ax: Axes, part: xr.Dataset, reference: str) -> None:
    """The difference in differences at each layer, with its interval."""
    layers = part["layer"].values.tolist()
    here = part.sel(measure="contrast")
    value, low, high = here["value"].values.T
    x = np.arange(len(layers))
    ax.axhline(0, color=INK, lw=0.6, ls=":")
    ends = np.nan_to_num([value - low, high - value])
    ax.errorbar(x, value, ends, fmt="o", color=INK, ms=3, capsize=2, elinewidth=0.9)
    ax.plot(layers.index(reference), 0, "o", mfc="white", mec=INK, ms=3.5)
    top = np.where(np.isfinite(high), high, value)
    for place in np.flatnonzero(here["p_holm"].values < LEVEL):
        ax.annotate(
            "*", (x[place], top[place]), (0, 1), textcoords="offset points", ha="center", fontsize=9
        )
    ax.margins(y=0.15)
    ax.set_xticks(x, layers, rotation=90)
    ax.set_xlim(-0.5, len(layers) - 0.5)
