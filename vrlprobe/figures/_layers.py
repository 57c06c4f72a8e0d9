"""Where is each component: R² by layer and component, with the chosen sparsity."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vrlprobe.analyses.shared.average import ends_by_class
from vrlprobe.figures._choices import (
    By,
    check_by,
    chosen_components,
    warn_of_ends,
)
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FULL_WIDTH, OPTIONS, thousands, wrapped
from vrlprobe.probes.kinds import PROBES
from vrlprobe.results.file import (
    at_frame,
    check_kind,
    control_medians,
    last_checkpoint,
    probe_kind,
)
from vrlprobe.samples.selection import Names

BEST = "#d62728"
CELL = 0.39
"""Inches across a cell: room for a number."""
TALL, LOW = 12, 3
"""Components, over all rows of panels, beside which the colour bar's label fits on one line, and
on two; above fewer of them it lies."""
ACROSS = 2
"""Panels side by side."""
MOST = 3
"""Rows of panels beside which the colour bar stands; above more of them."""
LETTERS, LINE = 15, 0.14
"""Letters of a title in an inch, and the height of a line of them."""


def layers(
    result: xr.Dataset,
    *,
    components: Names = None,
    frame: int | None = None,
    by: By = "run",
    good: float | None = None,
    bad: float | None = None,
) -> Plot:
    """Where each component is: R² by layer and component, with the chosen sparsity.

    Args:
        result: what `vrlprobe.probe` returned.
        components: a row each, all if None.
        frame: of the checkpoint, which every run must have; each run's last if None.
        by: a panel a run, or a class of agents by their return at the end, with the medians over
            its runs.
        good, bad: thresholds of the classes; each run's own profile's if None.

    Raises:
        SampleError: no such frame, or classes that are not known.
    """
    check_kind(result, "probe")
    check_by(by)
    if by == "class":
        drawn = ends_by_class(result, good, bad, frame)
        warn_of_ends(result)
    else:
        drawn = result if frame is None else at_frame(result, frame)
    return Plot(draw(drawn, chosen_components(result, components)), drawn)


def draw(result: xr.Dataset, components: Sequence[str] | None = None) -> Figure:
    """R² on the test samples: components down, layers across; a panel a run or a class of agents.

    The small number in a cell is a sparse probe's number of atoms; the best layer of each
    component is framed. Below 0, worse than the test samples' own mean, the cell is grey.

    Args:
        result: what `vrlprobe.probe` returns, drawn at each run's last frame; or what
            `vrlprobe.analyses.shared.average.ends_by_class` makes of it.
        components: which to draw; all if None.
    """
    names = list(components or result["component"].values)
    kind = probe_kind(result)
    panels = _panels(result.sel(component=names))
    columns = min(len(panels), ACROSS)
    rows = -(-len(panels) // columns)
    width = max(1.5 + columns * (CELL * result.sizes["layer"] + 0.2) + 0.6, FULL_WIDTH / 2)
    titles = [wrapped(title, round((width - 2.1) / columns * LETTERS)) for title, _ in panels]
    lines = max(title.count("\n") for title in titles)
    above = rows > MOST or rows * len(names) < LOW
    rest = 0.8 if above and rows <= MOST else 0.4
    height = rest + rows * (0.6 + LINE * lines + 0.185 * len(names))
    told = "small: number of atoms" if kind == "omp" else f"{PROBES[kind].caption} probe"
    joint = "; " if above or rows * len(names) >= TALL else "\n"
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for ax in grid[len(panels) :]:
            ax.set_axis_off()
        for ax, title, (_, cells) in zip(grid, titles, panels, strict=False):
            mesh = _panel(ax, title, cells.transpose("component", "layer", ...), kind)
        bar = figure.colorbar(mesh, ax=list(grid), **_bar_place(above, height))
        bar.set_label(f"R² on test episodes{joint}{told}")
        bar.outline.set_visible(False)
    return figure


def _bar_place(above: bool, height: float) -> dict[str, Any]:
    """Where the colour bar is: beside many panels it would be out of sight, beside few cut off."""
    if above:
        return {"location": "top", "aspect": 50, "pad": 0.2 / height, "fraction": 0.3 / height}
    return {"aspect": 30, "pad": 0.015, "fraction": 0.05}


def _panel(ax: Axes, title: str, cells: xr.Dataset, kind: str) -> Any:
    """Draw one panel's scores (component, layer), with what they are of; returns the cells."""
    mesh = _heat(ax, cells["test_r2"].values, cells["sparsity"].values if kind == "omp" else None)
    ax.set_title(title, loc="left")
    ax.set_xticks(range(cells.sizes["layer"]), cells["layer"].values)
    ax.set_yticks(range(cells.sizes["component"]), cells["component"].values)
    return mesh


def _heat(ax: Axes, values: np.ndarray, atoms: np.ndarray | None) -> Any:
    cmap = mpl.colormaps["cividis"].with_extremes(under="#dddddd", bad="white")
    values = np.where((values < 0) & (values > -0.005), 0.0, values)  # what rounds to 0 is 0
    mesh = ax.imshow(values, cmap=cmap, norm=Normalize(0, 1), aspect="auto", interpolation="none")
    for row, col in np.ndindex(*values.shape):
        chosen = None if atoms is None else float(atoms[row, col])
        _number(ax, row, col, float(values[row, col]), chosen)
    _frame_best(ax, values)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return mesh


def _number(ax: Axes, row: int, col: int, value: float, atoms: float | None) -> None:
    """Write a cell's score, and small beside it the number of atoms, if there is one."""
    ink = "w" if 0 <= value < 0.55 else "k"
    text = "-" if np.isnan(value) else "<0" if value < 0 else f"{value:.2f}"
    numbered = atoms is not None and np.isfinite(atoms) and text != "-"
    at = -0.13 if numbered else 0.0
    ax.text(col + at, row, text, ha="center", va="center_baseline", fontsize=6.5, color=ink)
    if numbered:
        count = f"{atoms:.0f}"
        ax.text(col + 0.43, row + 0.06, count, ha="right", va="center", fontsize=4.2, color=ink)


def _frame_best(ax: Axes, values: np.ndarray) -> None:
    """Frame the best layer of each component that some layer holds."""
    for row, line in enumerate(values):
        if np.isfinite(line).any() and np.nanmax(line) >= 0.005:
            best = int(np.nanargmax(line))
            frame = Rectangle((best - 0.46, row - 0.44), 0.92, 0.88, fill=False, ec=BEST, lw=1.1)
            ax.add_patch(frame)


def _panels(result: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Each panel's title and what it shows, (layer, component)."""
    if "class" in result.dims:
        classes = [(name, result.sel({"class": name})) for name in result["class"].values]
        return [(_class_title(name, int(cells["n_runs"])), cells) for name, cells in classes]
    ends = [last_checkpoint(result, str(name)) for name in result["run"].values]
    return [(_title(last), _with_controls(last)) for last in ends]


def _with_controls(last: xr.Dataset) -> xr.Dataset:
    """A run's scores, with a row for the median of all and of each control, if it has any."""
    cells = last[["test_r2", "sparsity"]]
    if "control" not in last.dims:
        return cells
    medians = control_medians(last)
    rows = xr.concat(list(medians.values()), "component", coords="minimal", compat="override")
    more = xr.Dataset({"test_r2": rows.drop_vars("control", errors="ignore")})
    more = more.assign_coords(component=list(medians))
    more["sparsity"] = xr.full_like(more["test_r2"], np.nan)
    joined: xr.Dataset = xr.concat([cells, more], "component", coords="minimal", compat="override")
    return joined


def _class_title(name: str, count: int) -> str:
    return f"{name}, 1 run" if count == 1 else f"{name}, median of {count} runs"


def _title(last: xr.Dataset) -> str:
    frame, value = last["frame"].item(), last["episode_return"].item()
    return f"{last['run'].item()}, frame\u00a0{thousands(frame)}, return\u00a0{value:.0f}"
