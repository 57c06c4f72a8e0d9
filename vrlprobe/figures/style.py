"""What all figures share: sizes, colours that a colour-blind reader can tell apart, saving."""

import io
import math
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vrlprobe.errors import FormatError
from vrlprobe.runs.output import write_output
from vrlprobe.runs.paths import as_path

KINDS = (".pdf", ".png", ".svg")
FULL_WIDTH, COLUMN_WIDTH = 6.9, 3.35
"""Inches across a page of two columns, and across one of them."""
INK, FAINT, SHADE = "#222222", "#b0b0b0", "#e9e5dc"
ROLES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, for what is not a layer."""
GROUP_COLOURS = {
    "good": ROLES[0], "middle": FAINT, "bad": ROLES[1],
    "healthy": ROLES[2], "escaped": ROLES[0], "stuck": ROLES[1], "undecided": FAINT,
}  # fmt: skip
"""Of classes and verdicts."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
OPTIONS: Any = {
    "font.size": 7.5,
    "axes.titlesize": 8.0,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "pdf.fonttype": 42,
    "svg.hashsalt": "vrlprobe",
    "text.usetex": False,
    "text.parse_math": False,  # names of runs may have a $
    "axes.formatter.use_mathtext": False,
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
            styles[name] = {"color": "#777777", "ls": "--", "lw": 1.4, "zorder": 3}
        elif kind == "cnn":
            styles[name] = {"color": CNN[(number - 1) % 4], "ls": "-", "lw": 1.4}
        elif kind == "mlp":
            mark = markers[number % 5]
            styles[name] = {"color": MLP[number % 3], "ls": "-", "lw": 1.2, "marker": mark, "ms": 3}
        else:
            styles[name] = {"color": INK, "ls": ":", "lw": 1.4}
    return styles


def marked(style: dict[str, Any], points: int, marks: int = 10) -> dict[str, Any]:
    """A line's style with so many markers at most, that they don't hide the line."""
    if "marker" not in style or points <= marks:
        return style
    return {**style, "markevery": -(-points // marks)}


def frame_axis(ax: Axes, ticks: int = 4) -> None:
    """Environment frames along x, in thousands or millions."""
    ax.set_xlabel("frame")
    ax.xaxis.set_major_locator(MaxNLocator(ticks))
    ax.xaxis.set_major_formatter(FuncFormatter(thousands))


def power_of_ten(value: float, _: object = None) -> str:
    """`10⁻³` for 0.001, `-10²` for -100: matplotlib's own ticks need its mathematical notation."""
    if not value:
        return "0"
    sign = "-" if value < 0 else ""
    digits = f"{round(math.log10(abs(value)))}".translate(RAISED)
    return f"{sign}10{digits}"


def wrapped(name: str, width: int = 16) -> str:
    """A name on several lines where it is long, broken behind hyphens, underlines and blanks."""
    lines = [""]
    for piece in re.findall(r"[^-_ ]*[-_ ]?", name):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def thousands(value: float, _: object = None) -> str:
    """`40k` for 40,000, `1.1M` for 1,100,000."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def check_kind(path: Path) -> None:
    """Raise FormatError where a figure cannot be saved under this name."""
    if path.suffix.lower() not in KINDS:
        raise FormatError(f"cannot draw {path}: the name must end in {', '.join(KINDS)}")


def figure_kind(path: Path) -> str:
    """The kind of file that a figure is, by its ending."""
    return f"a figure ({path.suffix.lower()})"


def save_figure(figure: Figure, path: str | Path, *, force: bool = False) -> None:
    """Write a figure atomically, the kind by its suffix; equal figures give equal bytes.

    Raises:
        FormatError: another suffix than .pdf, .png or .svg, or a folder that cannot be written.
    """
    path = as_path(path)
    check_kind(path)
    kind = path.suffix.lower()[1:]
    dates: Any = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    drawn = io.BytesIO()  # on a full disk matplotlib's PDF would end in an error of zlib's
    with mpl.rc_context(OPTIONS):
        figure.savefig(drawn, format=kind, dpi=200, metadata=dates[kind])
    write_output(path, drawn.getbuffer(), kind=figure_kind(path), force=force)
