"""Where in the image a probe looks: receptive fields of the chosen activations."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from vrlprobe.figures._choices import (
    chosen_components,
)
from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FULL_WIDTH, OPTIONS, layer_styles, thousands
from vrlprobe.results.file import check_kind
from vrlprobe.samples.selection import Names

ACROSS = 4
HEAT = "magma"


def units(result: xr.Dataset, *, components: Names = None) -> Plot:
    """Where in the image the activations look that a probe chose.

    Args:
        result: what `vrlprobe.analyses.units` returned.
        components: a column each, all if None.
    """
    check_kind(result, "atoms")
    drawn = result.sel(component=chosen_components(result, components))
    return Plot(draw(drawn), drawn)


def draw(found: xr.Dataset) -> Figure:
    """A panel a layer and component: the image, and over it what the chosen activations see.

    Bright: pixels that much of the probe's weight comes from. A ring is the middle of an atom's
    receptive field, its area the atom's weight; the square is the field of the heaviest.

    Args:
        found: what `vrlprobe.analyses._units.units` returns.
    """
    panels = [(a, b) for a in found["layer"].values for b in found["component"].values]
    columns = min(len(panels), ACROSS)
    rows = -(-len(panels) // columns)
    with mpl.rc_context(OPTIONS):
        side = FULL_WIDTH / ACROSS
        size = (max(side * columns, 2 * side), (side + 0.25) * rows + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in grid:
            ax.set_axis_off()
        for ax, (layer, name) in zip(grid, panels, strict=False):
            _panel(ax, found.sel(layer=layer, component=name), found["image"].values)
        head = f"{found.attrs['run']}, frame {thousands(found.attrs['frame'])}"
        figure.suptitle(head, x=0.01, ha="left", fontsize=8)
        figure.legend(
            handles=_key(), loc="outside lower left", ncols=1 if columns < ACROSS else 3,
            frameon=False, fontsize=6.5,
        )  # fmt: skip
    return figure


def _key() -> list[Line2D | Rectangle]:
    """What the marks mean."""
    ink = "0.25"
    return [
        Line2D([], [], ls="", marker="o", mfc="none", mec=ink, label="atom, area its weight"),
        Rectangle((0, 0), 1, 1, fc="none", ec=ink, lw=1.2, label="what the heaviest atom sees"),
        Rectangle((0, 0), 1, 1, fc=mpl.colormaps[HEAT](0.7), label="bright: much of the weight"),
    ]


def _panel(ax: Axes, part: xr.Dataset, image: np.ndarray) -> None:
    layer, count = str(part["layer"].item()), int(part["sparsity"])
    grey = image.mean(axis=-1)
    ax.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="none")
    field = part["field"].values
    top = float(field.max()) or 1.0
    heat = mpl.colormaps[HEAT](Normalize(0, top)(field))
    heat[..., 3] = 0.75 * np.sqrt(field / top)
    ax.imshow(heat, interpolation="none")
    boxes, weights = part["box"].values[:count], part["weight"].values[:count]
    middles = (boxes[:, :2] + boxes[:, 2:] - 1) / 2
    colour = layer_styles([layer])[layer]["color"]
    ax.scatter(
        middles[:, 1], middles[:, 0], s=2 + 28 * weights / (weights.max(initial=0) or 1),
        facecolors="none", edgecolors="w", linewidths=0.7,
    )  # fmt: skip
    if count:
        y, x, bottom, right = boxes[int(np.argmax(weights))]
        for ink, width in (("w", 2.4), (colour, 1.2)):
            frame = Rectangle(
                (x - 0.5, y - 0.5), right - x, bottom - y, fill=False, ec=ink, lw=width
            )
            ax.add_patch(frame)
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    score = part["test_r2"].item()
    words = "constant" if np.isnan(score) else f"{count} atoms, R² {score:.2f}"
    ax.set_title(f"{part['component'].item()}, {layer}\n{words}", fontsize=6.5, loc="left", pad=2)
