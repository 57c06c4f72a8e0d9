"""Who succeeds from which CNN and MLP, and how fast (paper, Figure 3)."""

import json
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.analyses.shared.average import (
    class_ends,
)
from vrlprobe.errors import SampleError
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FAINT, FULL_WIDTH, OPTIONS, ROLES, frame_axis
from vrlprobe.results.file import check_kind

ORDER = ("blank", "good", "middle", "bad")
"""Rows and columns of the paper's grid; other donors follow by name."""
DASHES = ("-", "--", ":", "-.")


def transplant(result: xr.Dataset) -> Plot:
    """Who succeeds from which CNN and MLP, and how fast (paper, Figure 3).

    Args:
        result: what `vrlprobe.analyses.cohort` with `by="init"` returned.
    """
    check_kind(result, "cohort")
    if "group" not in result.dims:
        raise SampleError(
            "this cohort is not grouped by init: make it so (analyses.cohort(runs, by='init'), "
            "`vrlprobe cohort --by init`)"
        )
    return Plot(draw(result), result)


def draw(found: xr.Dataset) -> Figure:
    """Left the grid, CNN down and MLP across, with successes of runs and their share's 95%
    interval; right the curves.

    A curve is the mean return of a cell's successful runs. Cells with another critic or layer have
    a grid of their own and dots on their curve.
    Groups that are no cell, such as runs from scratch, have only a curve; without any cell there
    is no grid.

    Args:
        found: what `vrlprobe.analyses.cohort` returns with `by="init"`.
    """
    labels = [str(name) for name in found["group"].values]
    transplants = labels if found.attrs.get("by", "init") == "init" else []
    cells = {label: parts for label in transplants if (parts := _parts(label))}
    variants = sorted({rest for _, _, rest in cells.values()}) or [""]
    donors = _donors([name for cnn, mlp, _ in cells.values() for name in (cnn, mlp)])
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(FULL_WIDTH, max(2.5, 2.0 * len(variants))), layout="constrained")
        ratios = [1.1, 2] if cells else [1]
        grid = figure.add_gridspec(len(variants), len(ratios), width_ratios=ratios)
        for row, variant in enumerate(variants if cells else []):
            here = {c[:2]: label for label, c in cells.items() if c[2] == variant}
            ax = figure.add_subplot(grid[row, 0])
            told = ", 95% interval" if "success" in found else ""
            title = f"(a) successful runs{told}{_success(found)}" if row == 0 else ""
            _grid(ax, found, here, donors, title)
            if variant:
                ax.set_title(variant, loc="right", fontsize=6.5)
        ax = figure.add_subplot(grid[:, -1])
        drawn = [label for label in labels if found["curve"].sel(group=label).notnull().any()]
        for place, label in enumerate(drawn):
            _curve(ax, found.sel(group=label), label, cells.get(label), place)
        title = "mean return of the successful runs"
        ax.set_title(f"(b) {title}" if cells else title, loc="left")
        ax.set(ylabel="return", ylim=(0, None))
        frame_axis(ax)
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=6.5)
    return figure


def _success(found: xr.Dataset) -> str:
    """From which return a run is good, where all have one threshold and the result says which."""
    if "run" not in found:
        return ""
    asked = json.loads(found.attrs.get("arguments", "{}")).get("good")
    try:
        ends = {class_ends(found, run, asked, 0.0)[0] for run in found["run"].values.tolist()}
    except SampleError:
        return ""
    return f"\n(return of {ends.pop():g} or more)" if len(ends) == 1 else ""


def _parts(label: str) -> tuple[str, str, str] | None:
    """CNN's donor, MLP's donor, and what else differs; None where the label is no cell's."""
    pieces = label.split("-", 2)
    if len(pieces) < 2:
        return None
    return pieces[0], pieces[1], pieces[2] if len(pieces) > 2 else ""


def _donors(names: Sequence[str]) -> list[str]:
    known = [name for name in ORDER if name in names]
    return known + sorted(set(names) - set(known))


def _grid(
    ax: Axes, found: xr.Dataset, cells: dict[tuple[str, str], str], donors: list[str], title: str
) -> None:
    """Successes of runs as numbers, their share as a shade; a cell without runs is empty."""
    small = min(5.5, 18 / len(donors))
    shares = np.full((len(donors), len(donors)), np.nan)
    for (cnn, mlp), label in cells.items():
        cell = found.sel(group=label)
        count, runs = int(cell["successes"]), int(cell["runs"])
        row, col = donors.index(cnn), donors.index(mlp)
        shares[row, col] = count / runs
        ink = "w" if count / runs > 0.55 else "k"
        text = f"{count}/{runs}"
        ax.text(col, row, text, ha="center", va="center", color=ink, fontsize=9)
        if "success" in cell:
            low, high = (100 * cell["success"].sel(bound=end).item() for end in ("low", "high"))
            ends = f"{low:.0f} to {high:.0f}%"
            ax.text(col, row + 0.33, ends, ha="center", va="center", color=ink, fontsize=small)
    cmap = mpl.colormaps["Blues"].with_extremes(bad="white")
    ax.imshow(shares, cmap=cmap, vmin=0, vmax=1, interpolation="none")
    ax.set_xticks(range(len(donors)), donors)
    ax.set_yticks(range(len(donors)), donors)
    ax.set(xlabel="MLP", ylabel="CNN")
    ax.set_title(title, loc="left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _curve(
    ax: Axes,
    group: xr.Dataset,
    label: str,
    cell: tuple[str, str, str] | None,
    place: int,
) -> None:
    """One group's curve, the ``place``-th drawn."""
    line = group["curve"].dropna("frame")
    style: dict[str, Any] = {"color": FAINT}
    name = label
    if cell:
        cnn, mlp, rest = cell
        turn, colour = divmod(place, len(ROLES))
        style = {"color": ROLES[colour], "ls": DASHES[turn % len(DASHES)]}
        style |= {"marker": "o", "ms": 3} if rest else {}
        name = f"CNN {cnn}, MLP {mlp}{f', {rest}' * bool(rest)}"
    name += f" ({int(group['successes'])}/{int(group['runs'])})"
    ax.plot(line["frame"].values, line.values, lw=1.3, label=name, **style)
