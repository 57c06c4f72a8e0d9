"""How early a run's outcome can be predicted, metric by metric."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from vrlprobe.analyses._forecast import BLIND, best_metrics
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FAINT, FULL_WIDTH, INK, OPTIONS, ROLES, frame_axis
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names, choose
from vrlprobe.stats.bootstrap import balanced_accuracy_interval

LINES = 4
"""Metrics drawn where none are named: those that tell best, on average over the frames."""


def forecast(result: xr.Dataset, *, metrics: Names = None) -> Plot:
    """How early a run's end can be told from which metric, and what stopping on it saves.

    Args:
        result: what `vrlprobe.analyses.forecast` returned.
        metrics: a line each, beside `any` where the result has it; the best four if None.
    """
    check_kind(result, "foretell")
    there = result["metric"].values.tolist()
    best = best_metrics(result, LINES) if metrics is None else ()
    lines = choose(metrics, there, "metric", best)
    return Plot(draw(result, lines), result)


def draw(found: xr.Dataset, metrics: Sequence[str]) -> Figure:
    """Left: how often the outcome is predicted, by frame; right: what stopping on it would save.

    Black is the metric that is best on the other runs, chosen anew for each, where the result has
    it; dotted is chance.

    Args:
        found: what `vrlprobe.analyses.forecast` returns.
        metrics: those drawn beside it.
    """
    blind = BLIND in found["metric"].values
    badly, outcome = int(found["ends_badly"].sum()), found.attrs["outcome"]
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(FULL_WIDTH, 2.7), layout="constrained")
        told, saved = figure.subplots(1, 2)
        for place, name in enumerate(name for name in metrics if name != BLIND):
            _line(told, found["accuracy"], name, ROLES[place % len(ROLES)], 1.1)
            _line(saved, found["saved"], name, ROLES[place % len(ROLES)], 1.1)
        for ax, variable in ((told, "accuracy"), (saved, "saved")):
            if blind:
                _line(ax, found[variable], BLIND, INK, 1.8)
            frame_axis(ax)
        band = BLIND if blind else metrics[0]
        _band(told, found.sel(metric=band), INK if blind else ROLES[0])
        told.axhline(0.5, color=FAINT, ls=":", lw=1)
        told.set_ylim(0, 1.04)
        told.set_ylabel("balanced accuracy")
        told.set_title(f"predicting which runs end {outcome}", loc="left")
        saved.set_ylim(bottom=0)
        saved.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        saved.set_ylabel("share of all frames")
        saved.set_title("saved by stopping them there", loc="left")
        told.legend(loc="lower right", frameon=False)
        figure.supxlabel(
            f"{badly} of {found.sizes['run']} runs end {outcome}; each is judged by thresholds "
            f"that the others give{f'; {BLIND}: by the metric that is best on the others' * blind}"
            f"; band: 95% interval of {band}",
            fontsize=6.5,
        )
    return figure


def _band(ax: Axes, one: xr.Dataset, colour: str) -> None:
    """The interval of a metric's balanced accuracy over runs, by frame."""
    there = one.where(one["n_runs"] > 0, drop=True)
    badly = there["n_bad"].values.astype(int)
    others = there["n_runs"].values.astype(int) - badly
    right = others - there["false"].values.astype(int)
    counts = zip(there["found"].values.astype(int), badly, right, others, strict=True)
    low, high = np.array([balanced_accuracy_interval(*map(int, row)) for row in counts]).T
    ax.fill_between(there["frame"].values, low, high, color=colour, alpha=0.14, lw=0)


def _line(ax: Axes, values: xr.DataArray, name: str, colour: str, width: float) -> None:
    there = values.sel(metric=name).dropna("frame")
    ax.plot(there["frame"].values, there.values, color=colour, lw=width, label=name)
