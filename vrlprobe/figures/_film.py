"""Film strips of episodes, several runs aligned in rows (paper, Figures 6 and 7)."""

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FULL_WIDTH, INK, OPTIONS, thousands, wrapped
from vrlprobe.results.file import check_kind

NUMBER, LABEL = 0.3, 0.42
"""Inches that a column's number and a row's label need."""


def film(result: xr.Dataset) -> Plot:
    """Film strips, a row an episode (paper, Figures 6 and 7).

    Args:
        result: what `vrlprobe.analyses.film` returned.
    """
    check_kind(result, "film")
    return Plot(draw(result), result)


def draw(strip: xr.Dataset) -> Figure:
    """A row an episode, a column a frame of the episode; the same frame in all rows.

    Args:
        strip: what `vrlprobe.analyses._film.film` returns.
    """
    rows, columns = strip.sizes["row"], strip.sizes["time"]
    with mpl.rc_context(OPTIONS):
        side = (FULL_WIDTH - 0.9) / columns
        tall = max(side * strip.sizes["y"] / strip.sizes["x"], LABEL)
        size = (FULL_WIDTH, rows * tall + 0.34)
        every = int(-(-NUMBER // side))  # so that the numbers do not touch
        layout = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
        figure = Figure(figsize=size, layout=layout)
        grid = figure.subplots(rows, columns, squeeze=False)
        for row, axes in enumerate(grid):
            here = strip.isel(row=row)
            for place, ax in enumerate(axes):
                frame = int(here["frame"][place])
                if frame <= int(here["length"]):
                    ax.imshow(here["image"].values[place], interpolation="none")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
                if row == 0 and place % every == 0:
                    ax.set_title(f"{frame}", fontsize=6.5, pad=2)
            axes[0].set_ylabel(
                _label(here), rotation=0, ha="right", va="center", fontsize=6, color=INK
            )
        figure.supxlabel("numbers: frame of the episode", fontsize=6)
    return figure


def _label(here: xr.Dataset) -> str:
    name = wrapped(str(here["run"].item()), 14)
    checkpoint = thousands(here["checkpoint"].item())
    return f"{name}\nat {checkpoint}, episode {here['episode'].item()}\nreturn " + (
        f"{here['episode_return'].item():.0f}"
    )
