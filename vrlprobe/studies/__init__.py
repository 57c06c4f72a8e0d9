"""Runs in, labelled datasets out: the only place where files, networks and numbers meet.

A study is imported when it is first used: most need no networks, which take seconds to import.
"""

from typing import TYPE_CHECKING

from vrlprobe.lazy import importer

if TYPE_CHECKING:
    from vrlprobe.studies.collapsing import collapse as collapse
    from vrlprobe.studies.collapsing import rule as rule
    from vrlprobe.studies.comparing import compare as compare
    from vrlprobe.studies.exporting import export_checkpoint as export_checkpoint
    from vrlprobe.studies.extracting import activations as activations
    from vrlprobe.studies.filming import film as film
    from vrlprobe.studies.foretelling import foretell as foretell
    from vrlprobe.studies.gathering import cohort as cohort
    from vrlprobe.studies.importing import import_checkpoints as import_checkpoints
    from vrlprobe.studies.locating import atoms as atoms
    from vrlprobe.studies.measuring import metrics as metrics
    from vrlprobe.studies.minari import export_dataset as export_dataset
    from vrlprobe.studies.predicting import predict as predict
    from vrlprobe.studies.probing import probe as probe
    from vrlprobe.studies.recording import full_record as full_record
    from vrlprobe.studies.stitching import stitch as stitch
    from vrlprobe.studies.transplanting import grid as grid
    from vrlprobe.studies.transplanting import transplant as transplant
    from vrlprobe.studies.waiting import outlook as outlook

_WHERE = {
    "activations": "extracting",
    "atoms": "locating",
    "cohort": "gathering",
    "collapse": "collapsing",
    "compare": "comparing",
    "export_checkpoint": "exporting",
    "export_dataset": "minari",
    "film": "filming",
    "foretell": "foretelling",
    "full_record": "recording",
    "grid": "transplanting",
    "import_checkpoints": "importing",
    "metrics": "measuring",
    "outlook": "waiting",
    "predict": "predicting",
    "probe": "probing",
    "rule": "collapsing",
    "stitch": "stitching",
    "transplant": "transplanting",
}
__all__ = sorted(_WHERE)
__getattr__ = importer(__name__, _WHERE)


def __dir__() -> list[str]:
    """The studies, imported or not."""
    return sorted({*globals(), *__all__})
