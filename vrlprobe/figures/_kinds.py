"""Every figure: its module, and the kind of result that it suits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FigureKind:
    """A figure.

    Attributes:
        module: of this package, with a function of the figure's name.
        suits: the kind of result, as files name it, of which `plot` draws it; empty for figures
            that must be asked for by name.
    """

    module: str
    suits: str = ""


FIGURES = {
    "ablate": FigureKind("_ablate", "ablate"),
    "cohort": FigureKind("_cohort", "cohort"),
    "contrast": FigureKind("_contrast", "contrast"),
    "escape": FigureKind("_escape"),
    "film": FigureKind("_film", "film"),
    "forecast": FigureKind("_forecast", "foretell"),
    "layers": FigureKind("_layers"),
    "metrics": FigureKind("_metrics", "metrics"),
    "order": FigureKind("_order"),
    "patch": FigureKind("_patch", "patch"),
    "probe": FigureKind("_probe", "probe"),
    "similarity": FigureKind("_similarity", "similarity"),
    "stitch": FigureKind("_stitch", "stitch"),
    "survival": FigureKind("_survival", "outlook"),
    "transplant": FigureKind("_transplant"),
    "units": FigureKind("_units", "atoms"),
}
"""By name. `plot` draws a probe of one frame as `layers`, and a grouped cohort as `transplant`."""
