"""How the cost grows with samples, features, targets and atoms."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.measure import Row

BASE = {"n": 2000, "d": 39200, "K": 24, "r": 50}
NAMES = {"n": "samples n", "d": "features d", "K": "targets K", "r": "atoms r"}
LINES = {
    "scikit_learn": ("scikit-learn, float64", "#888888"),
    "float32": ("float32 screening", "#4c72b0"),
    "solve": ("screened in half precision", "#c44e52"),
    "products": ("the products alone", "#000000"),
}


def draw(rows: list[Row], path: Path) -> None:
    """Four panels: CPU seconds as one of the sizes changes, the others as in ``BASE``."""
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    for ax, (name, label) in zip(figure.subplots(1, 4, sharey=True), NAMES.items(), strict=True):
        others = {key: value for key, value in BASE.items() if key != name}
        shown = [r for r in rows if all(getattr(r, k) == v for k, v in others.items())]
        shown.sort(key=lambda row: getattr(row, name))
        at = [getattr(row, name) for row in shown]
        for key, (text, colour) in LINES.items():
            style = "--" if key == "products" else "-"
            seconds = [getattr(row, key) for row in shown]
            ax.plot(at, seconds, style, marker="o", ms=3, color=colour, label=text)
        ax.set(xscale="log", yscale="log", xlabel=label)
        ax.set_xticks(at, [f"{v:,}" if v < 10_000 else f"{v // 1000}k" for v in at], fontsize=8)
        ax.tick_params(axis="x", rotation=30)
        ax.minorticks_off()
    figure.axes[0].set_ylabel("CPU seconds, one thread")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
