"""Probe the checkpoints of agents trained from pixels: what they represent, where, how well.

The names below are imported when they are first used, so that `import vrlprobe` costs nothing.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vrlprobe._lazy import importer

if TYPE_CHECKING:
    __version__: str

    from vrlprobe import analyses as analyses
    from vrlprobe import figures as figures
    from vrlprobe.agents.activations import extract_activations as extract_activations
    from vrlprobe.agents.own import ModuleAgent as ModuleAgent
    from vrlprobe.agents.own import register_agent as register_agent
    from vrlprobe.analyses import import_checkpoints as import_checkpoints
    from vrlprobe.analyses import probe as probe
    from vrlprobe.analyses import transplant as transplant
    from vrlprobe.collapse.monitor import CollapseMonitor as CollapseMonitor
    from vrlprobe.collapse.rule import Rule as Rule
    from vrlprobe.collapse.verdict import Verdict as Verdict
    from vrlprobe.envs.pixels import PixelEnv as PixelEnv
    from vrlprobe.envs.record import record_episode as record_episode
    from vrlprobe.errors import DeviceError as DeviceError
    from vrlprobe.errors import FormatError as FormatError
    from vrlprobe.errors import IntegrityError as IntegrityError
    from vrlprobe.errors import RenderError as RenderError
    from vrlprobe.errors import ResumeError as ResumeError
    from vrlprobe.errors import SampleError as SampleError
    from vrlprobe.errors import TransplantError as TransplantError
    from vrlprobe.errors import UnknownFrameError as UnknownFrameError
    from vrlprobe.errors import UnknownLayerError as UnknownLayerError
    from vrlprobe.errors import UnknownTaskError as UnknownTaskError
    from vrlprobe.errors import UnsafeFileError as UnsafeFileError
    from vrlprobe.errors import VrlprobeError as VrlprobeError
    from vrlprobe.figures._video import write_video as write_video
    from vrlprobe.probes.estimators import MlpProbe as MlpProbe
    from vrlprobe.probes.estimators import RidgeProbe as RidgeProbe
    from vrlprobe.probes.estimators import SparseProbe as SparseProbe
    from vrlprobe.probes.omp import omp_path as omp_path
    from vrlprobe.report.write import write_report as write_report
    from vrlprobe.results.combine import combine_results as combine_results
    from vrlprobe.results.file import load_result as load_result
    from vrlprobe.results.file import save_result as save_result
    from vrlprobe.runs.collection import open_runs as open_runs
    from vrlprobe.runs.collection import read_records as read_records
    from vrlprobe.runs.episode import Episode as Episode
    from vrlprobe.runs.logged import LoggedRun as LoggedRun
    from vrlprobe.runs.reader import Run as Run
    from vrlprobe.runs.reader import open_run as open_run
    from vrlprobe.runs.record import Record as Record
    from vrlprobe.runs.record import write_record as write_record
    from vrlprobe.runs.salvage import salvage_run as salvage_run
    from vrlprobe.runs.verify import verify_run as verify_run
    from vrlprobe.runs.writer import RunWriter as RunWriter
    from vrlprobe.samples.file import load_samples as load_samples
    from vrlprobe.samples.file import save_samples as save_samples
    from vrlprobe.samples.make import make_samples as make_samples
    from vrlprobe.samples.sample_set import SampleSet as SampleSet

_WHERE = {
    "Episode": "runs.episode",
    "MlpProbe": "probes.estimators",
    "CollapseMonitor": "collapse.monitor",
    "ModuleAgent": "agents.own",
    "PixelEnv": "envs.pixels",
    "RidgeProbe": "probes.estimators",
    "RunWriter": "runs.writer",
    "SparseProbe": "probes.estimators",
    "DeviceError": "errors",
    "FormatError": "errors",
    "IntegrityError": "errors",
    "RenderError": "errors",
    "ResumeError": "errors",
    "SampleError": "errors",
    "TransplantError": "errors",
    "UnknownFrameError": "errors",
    "UnknownLayerError": "errors",
    "UnknownTaskError": "errors",
    "UnsafeFileError": "errors",
    "Record": "runs.record",
    "Rule": "collapse.rule",
    "Run": "runs.reader",
    "LoggedRun": "runs.logged",
    "SampleSet": "samples.sample_set",
    "Verdict": "collapse.verdict",
    "VrlprobeError": "errors",
    "combine_results": "results.combine",
    "extract_activations": "agents.activations",
    "import_checkpoints": "analyses",
    "load_result": "results.file",
    "load_samples": "samples.file",
    "make_samples": "samples.make",
    "omp_path": "probes.omp",
    "open_run": "runs.reader",
    "open_runs": "runs.collection",
    "probe": "analyses",
    "read_records": "runs.collection",
    "record_episode": "envs.record",
    "register_agent": "agents.own",
    "salvage_run": "runs.salvage",
    "save_result": "results.file",
    "save_samples": "samples.file",
    "transplant": "analyses",
    "verify_run": "runs.verify",
    "write_record": "runs.record",
    "write_report": "report.write",
    "write_video": "figures",
}
_MODULES = ("analyses", "figures")
"""One function for each analysis, and one for each figure."""

logging.getLogger("vrlprobe").addHandler(logging.NullHandler())
__all__ = sorted([*_WHERE, *_MODULES])
_import = importer(__name__, _WHERE)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    return _import(name)


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
