"""Every CNN with every MLP of some checkpoints: return, action std, agreement."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FULL_WIDTH, OPTIONS, wrapped
from vrlprobe.results.file import check_kind
from vrlprobe.stats.bootstrap import FEWEST

TITLES = {"none": "as they are", "ridge": "behind a fitted linear map"}
"""What is between CNN and MLP, in words."""
MOST = 8
"""Rows of a matrix in whose cells numbers can be read."""
LABEL = 14
"""Characters in a line of a checkpoint's name."""


def stitch(result: xr.Dataset) -> Plot:
    """Every CNN with every MLP of some checkpoints: return, action std, agreement.

    Args:
        result: what `vrlprobe.analyses.stitch` returned.
    """
    check_kind(result, "stitch")
    return Plot(draw(result), result)


def draw(result: xr.Dataset) -> Figure:
    """A row of matrices an adapter, CNN down and MLP across: mean return with its 95% interval,
    action std, R² for the actions of the agent that the MLP is from.

    A cell is framed where the action does not vary (action std of at most 0.1), and empty where the
    CNN's features do not fit the MLP. An R² below 0 is shaded as 0.

    Args:
        result: what `vrlprobe.analyses.stitch` returns.
    """
    found = result if "adapter" in result.dims else result.expand_dims(adapter=["none"])
    adapters = found["adapter"].values.tolist()
    played = found.sizes["episode"] > 0
    columns = 3 if played else 2
    with mpl.rc_context(OPTIONS):
        height = 1.0 + 1.8 * len(adapters)
        figure = Figure(figsize=(FULL_WIDTH, height), layout="constrained")
        axes = figure.subplots(len(adapters), columns, squeeze=False, sharex=True, sharey=True)
        tops = {
            "return": _largest(found["mean_return"].sel(bound="estimate")),
            "action std": _largest(found["action_spread"]),
        }
        for row, adapter in enumerate(adapters):
            part = found.sel(adapter=adapter).transpose("cnn", "mlp", ...)
            _row(axes[row], part, played, TITLES[adapter] if len(adapters) > 1 else "", tops)
        for ax in axes[-1]:
            ax.set_xlabel("MLP")
    return figure


def _largest(values: xr.DataArray) -> float:
    """Upper end of the colours, the same for all adapters."""
    return max(float(values.max().fillna(0)), 1e-9)


def _row(
    axes: np.ndarray, part: xr.Dataset, played: bool, what: str, tops: dict[str, float]
) -> None:
    """The matrices of one adapter."""
    spread = part["action_spread"].values
    collapsed = np.isfinite(spread) & ~ACTION_STD.healthy(spread)
    if played:
        returns = part["mean_return"]
        middle, low, high = (returns.sel(bound=b).values for b in ("estimate", "low", "high"))
        episodes = part.sizes["episode"]
        told = ", 95% interval" if episodes >= FEWEST else ""
        title = f"return, mean of {episodes}\nepisode{'s' if episodes > 1 else ''}{told}"
        notes = [[_ends(*ends) for ends in zip(*rows, strict=True)]
                 for rows in zip(low, high, strict=True)]  # fmt: skip
        _matrix(axes[0], part, middle, title, "{:.0f}", "Blues", tops["return"], collapsed, notes)
    _matrix(axes[-2], part, spread, "action std", "{:.2g}", "Greens", tops["action std"], collapsed)
    agreement = part["action_r2"].sel(part="mlp").values
    title = "R² for the actions\nof the MLP's agent"
    _matrix(axes[-1], part, agreement, title, "{:.2f}", "Purples", 1.0, collapsed)
    axes[0].set_ylabel(f"CNN, {what}".replace(" fitted", "\nfitted") if what else "CNN")


def _ends(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"{low:.0f} to {high:.0f}"


def _matrix(
    ax: Axes,
    part: xr.Dataset,
    values: np.ndarray,
    title: str,
    form: str,
    colours: str,
    top: float,
    collapsed: np.ndarray,
    notes: list[list[str]] | None = None,
) -> None:
    """One matrix with its numbers, a smaller note below each."""
    cmap = mpl.colormaps[colours].with_extremes(bad="white")
    ax.imshow(np.clip(values, 0, None), cmap=cmap, vmin=0, vmax=top, interpolation="none")
    size = len(values)
    ax.set_xticks(range(size), [wrapped(name, LABEL) for name in part["mlp"].values], rotation=90)
    ax.set_yticks(range(size), [wrapped(name, LABEL) for name in part["cnn"].values])
    ax.label_outer()
    for row, col in np.ndindex(values.shape):
        if collapsed[row, col]:
            _frame(ax, row, col)
        if size <= MOST:
            ink = "w" if values[row, col] > 0.6 * top else "k"
            _number(
                ax, row, col, float(values[row, col]), form, ink, notes[row][col] if notes else ""
            )
    ax.set_title(title, loc="left")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _number(ax: Axes, row: int, col: int, value: float, form: str, ink: str, note: str) -> None:
    text = form.format(value) if np.isfinite(value) else "-"
    ax.text(col, row, text, ha="center", va="center", color=ink, fontsize=7.5)
    if note:
        ax.text(col, row + 0.3, note, ha="center", va="center", color=ink, fontsize=5.5)


def _frame(ax: Axes, row: int, col: int) -> None:
    """A dashed frame inside a cell."""
    box = mpl.patches.Rectangle(
        (col - 0.46, row - 0.46), 0.92, 0.92, fill=False, ls=(0, (2, 1.5)), lw=0.9, ec="#d55e00"
    )
    ax.add_patch(box)
