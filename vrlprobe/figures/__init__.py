"""Every figure from the results that it shows: for notebooks, scripts and `vrlprobe plot`.

A figure's module is imported when it is first used.
"""

from typing import TYPE_CHECKING

from vrlprobe._lazy import importer
from vrlprobe.figures._kinds import FIGURES

if TYPE_CHECKING:
    from vrlprobe.figures._ablate import ablate as ablate
    from vrlprobe.figures._cohort import cohort as cohort
    from vrlprobe.figures._contrast import contrast as contrast
    from vrlprobe.figures._escape import escape as escape
    from vrlprobe.figures._film import film as film
    from vrlprobe.figures._forecast import forecast as forecast
    from vrlprobe.figures._layers import layers as layers
    from vrlprobe.figures._metrics import metrics as metrics
    from vrlprobe.figures._order import order as order
    from vrlprobe.figures._patch import patch as patch
    from vrlprobe.figures._plot import plot as plot
    from vrlprobe.figures._probe import probe as probe
    from vrlprobe.figures._result import Plot as Plot
    from vrlprobe.figures._similarity import similarity as similarity
    from vrlprobe.figures._stitch import stitch as stitch
    from vrlprobe.figures._survival import survival as survival
    from vrlprobe.figures._transplant import transplant as transplant
    from vrlprobe.figures._units import units as units
    from vrlprobe.figures._video import write_video as write_video

_WHERE = {
    "Plot": "_result",
    "plot": "_plot",
    "write_video": "_video",
    **{name: kind.module for name, kind in FIGURES.items()},
}
__all__ = sorted(_WHERE)
__getattr__ = importer(__name__, _WHERE)


def __dir__() -> list[str]:
    """The figures, imported or not."""
    return sorted({*globals(), *__all__})
