"""Runs in, labelled datasets out: the only place where files, networks and numbers meet."""

from vrlprobe.studies.collapsing import collapse, rule
from vrlprobe.studies.gathering import cohort
from vrlprobe.studies.measuring import metrics
from vrlprobe.studies.probing import probe
from vrlprobe.studies.recording import activations

__all__ = ["activations", "cohort", "collapse", "metrics", "probe", "rule"]
