"""Probe the checkpoints of agents trained from pixels: what they represent, where, how well.

The names below are imported when they are first used, so that `import vrlprobe` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vrlprobe._lazy import importer

if TYPE_CHECKING:
    __version__: str

    from vrlprobe import plotting as plotting
    from vrlprobe import studies as studies
    from vrlprobe.agents.activations import extract_activations as extract_activations
    from vrlprobe.agents.own import ModuleAgent as ModuleAgent
    from vrlprobe.agents.own import register_agent as register_agent
    from vrlprobe.collapse.monitor import CollapseMonitor as CollapseMonitor
    from vrlprobe.envs.pixels import PixelEnv as PixelEnv
    from vrlprobe.envs.record import record_episode as record_episode
    from vrlprobe.errors import VrlprobeError as VrlprobeError
    from vrlprobe.figures.video import write_video as write_video
    from vrlprobe.probes.estimators import MlpProbe as MlpProbe
    from vrlprobe.probes.estimators import RidgeProbe as RidgeProbe
    from vrlprobe.probes.estimators import SparseProbe as SparseProbe
    from vrlprobe.probes.omp import omp_path as omp_path
    from vrlprobe.report.writing import write_report as write_report
    from vrlprobe.results.combine import combine_results as combine_results
    from vrlprobe.results.file import load_result as load_result
    from vrlprobe.results.file import save_result as save_result
    from vrlprobe.runs.collection import open_runs as open_runs
    from vrlprobe.runs.collection import read_records as read_records
    from vrlprobe.runs.episode import Episode as Episode
    from vrlprobe.runs.reader import open_run as open_run
    from vrlprobe.runs.record import write_record as write_record
    from vrlprobe.runs.salvage import salvage_run as salvage_run
    from vrlprobe.runs.verify import verify_run as verify_run
    from vrlprobe.runs.writer import RunWriter as RunWriter
    from vrlprobe.samples.file import load_samples as load_samples
    from vrlprobe.samples.file import save_samples as save_samples
    from vrlprobe.samples.make import make_samples as make_samples
    from vrlprobe.studies import import_checkpoints as import_checkpoints
    from vrlprobe.studies import probe as probe
    from vrlprobe.studies import transplant as transplant

_WHERE = {
    "Episode": "format.episode",
    "MlpProbe": "probes.estimators",
    "CollapseMonitor": "monitor",
    "ModuleAgent": "agents.own",
    "PixelEnv": "envs",
    "RidgeProbe": "probes.estimators",
    "RunWriter": "format.writer",
    "SparseProbe": "probes.estimators",
    "VrlprobeError": "errors",
    "combine_results": "combining",
    "extract_activations": "activations",
    "import_checkpoints": "studies",
    "load_result": "results",
    "load_samples": "samplefile",
    "make_samples": "sampling",
    "omp_path": "probes.omp",
    "open_run": "format.reader",
    "open_runs": "format.opening",
    "probe": "studies",
    "read_records": "format.opening",
    "record_episode": "envs",
    "register_agent": "agents.own",
    "salvage_run": "format.salvage",
    "save_result": "results",
    "save_samples": "samplefile",
    "transplant": "studies",
    "verify_run": "format.verify",
    "write_record": "format.record",
    "write_report": "report.writing",
    "write_video": "figures.video",
}
_MODULES = ("plotting", "studies")
"""Of one function a study, and one a figure."""

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
