"""What all figures share: sizes, colours that a colour-blind reader can tell apart, saving."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from vrlprobe.errors import FormatError
from vrlprobe.results import written_at_once

KINDS = (".pdf", ".png", ".svg")
INK, FAINT = "#222222", "#b0b0b0"
OPTIONS: Any = {
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "pdf.fonttype": 42,
    "svg.hashsalt": "vrlprobe",
}
CNN = ("#8ecae6", "#4ba3d3", "#2071b5", "#08306b")
"""cnn1 to cnn4: light to dark blue."""
MLP = ("#fdae61", "#e8601c", "#a50f15")
"""mlp0 to mlp2: yellow to dark red."""


def layer_styles(layers: list[str]) -> dict[str, dict[str, Any]]:
    """A line style a layer: raw image dashed grey, convolutions blue, the MLP red and marked."""
    styles: dict[str, dict[str, Any]] = {}
    markers = "osD^v"
    for name in layers:
        kind, number = name[:3], int(name[3:]) if name[3:].isdigit() else 0
        if name == "cnn0":
            styles[name] = {"color": "#777777", "ls": "--", "lw": 1.4}
        elif kind == "cnn":
            styles[name] = {"color": CNN[(number - 1) % 4], "ls": "-", "lw": 1.4}
        elif kind == "mlp":
            mark = markers[number % 5]
            styles[name] = {"color": MLP[number % 3], "ls": "-", "lw": 1.2, "marker": mark, "ms": 3}
        else:
            styles[name] = {"color": INK, "ls": ":", "lw": 1.4}
    return styles


def check_kind(path: Path) -> None:
    """Raise FormatError where a figure cannot be saved under this name."""
    if path.suffix.lower() not in KINDS:
        raise FormatError(f"cannot draw {path}: the name must end in {', '.join(KINDS)}")


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically, the kind by its suffix; equal figures give equal bytes.

    Raises:
        FormatError: another suffix than .pdf, .png or .svg, or a folder that cannot be written.
    """
    path = Path(path)
    check_kind(path)
    kind = path.suffix.lower()[1:]
    dates: Any = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    with written_at_once(path) as temporary, mpl.rc_context(OPTIONS):
        figure.savefig(temporary, format=kind, dpi=200, metadata=dates[kind])
