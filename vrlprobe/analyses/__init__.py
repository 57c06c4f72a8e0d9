"""Runs in, labelled datasets out: the only place where files, networks and numbers meet.

An analysis is imported when it is first used: most need no networks, which take seconds to import.
"""

from typing import TYPE_CHECKING

from vrlprobe._lazy import importer

if TYPE_CHECKING:
    from vrlprobe.analyses._ablate import ablate as ablate
    from vrlprobe.analyses._activations import activations as activations
    from vrlprobe.analyses._cohort import cohort as cohort
    from vrlprobe.analyses._collapse import collapse as collapse
    from vrlprobe.analyses._compare import compare as compare
    from vrlprobe.analyses._contrast import contrast as contrast
    from vrlprobe.analyses._diagnose import diagnose as diagnose
    from vrlprobe.analyses._escape import escape as escape
    from vrlprobe.analyses._export import export_checkpoint as export_checkpoint
    from vrlprobe.analyses._export_minari import export_dataset as export_dataset
    from vrlprobe.analyses._film import film as film
    from vrlprobe.analyses._forecast import forecast as forecast
    from vrlprobe.analyses._grid import grid as grid
    from vrlprobe.analyses._import import import_checkpoints as import_checkpoints
    from vrlprobe.analyses._metrics import metrics as metrics
    from vrlprobe.analyses._order import order as order
    from vrlprobe.analyses._patch import patch as patch
    from vrlprobe.analyses._predict import predict as predict
    from vrlprobe.analyses._probe import probe as probe
    from vrlprobe.analyses._record import full_record as full_record
    from vrlprobe.analyses._reset_rule import reset_rule as reset_rule
    from vrlprobe.analyses._similarity import similarity as similarity
    from vrlprobe.analyses._stitch import stitch as stitch
    from vrlprobe.analyses._survival import survival as survival
    from vrlprobe.analyses._transplant import transplant as transplant
    from vrlprobe.analyses._units import units as units

_WHERE = {
    "ablate": "_ablate",
    "activations": "_activations",
    "cohort": "_cohort",
    "collapse": "_collapse",
    "compare": "_compare",
    "contrast": "_contrast",
    "diagnose": "_diagnose",
    "escape": "_escape",
    "export_checkpoint": "_export",
    "export_dataset": "_export_minari",
    "film": "_film",
    "forecast": "_forecast",
    "full_record": "_record",
    "grid": "_grid",
    "import_checkpoints": "_import",
    "metrics": "_metrics",
    "order": "_order",
    "patch": "_patch",
    "predict": "_predict",
    "probe": "_probe",
    "reset_rule": "_reset_rule",
    "similarity": "_similarity",
    "stitch": "_stitch",
    "survival": "_survival",
    "transplant": "_transplant",
    "units": "_units",
}
__all__ = sorted(_WHERE)
__getattr__ = importer(__name__, _WHERE)


def __dir__() -> list[str]:
    """The analyses, imported or not."""
    return sorted({*globals(), *__all__})
