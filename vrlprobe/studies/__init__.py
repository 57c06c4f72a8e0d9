"""Runs in, labelled datasets out: the only place where files, networks and numbers meet."""

from vrlprobe.studies.collapsing import collapse, rule
from vrlprobe.studies.comparing import compare
from vrlprobe.studies.exporting import export_checkpoint
from vrlprobe.studies.extracting import activations
from vrlprobe.studies.filming import film
from vrlprobe.studies.foretelling import foretell
from vrlprobe.studies.gathering import cohort
from vrlprobe.studies.importing import import_checkpoints
from vrlprobe.studies.locating import atoms
from vrlprobe.studies.measuring import metrics
from vrlprobe.studies.minari import export_dataset
from vrlprobe.studies.predicting import predict
from vrlprobe.studies.probing import probe
from vrlprobe.studies.recording import full_record
from vrlprobe.studies.transplanting import grid, transplant
from vrlprobe.studies.waiting import outlook

__all__ = [
    "activations",
    "atoms",
    "cohort",
    "collapse",
    "compare",
    "export_checkpoint",
    "export_dataset",
    "film",
    "foretell",
    "full_record",
    "grid",
    "import_checkpoints",
    "metrics",
    "outlook",
    "predict",
    "probe",
    "rule",
    "transplant",
]
