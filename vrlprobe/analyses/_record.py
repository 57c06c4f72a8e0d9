"""What is kept of a finished run where its file is too big: a record, with its last numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import xarray as xr

from vrlprobe.analyses._metrics import metrics
from vrlprobe.analyses._probe import probe
from vrlprobe.runs.collection import Runs, one_run
from vrlprobe.runs.record import Record, make_record, plain
from vrlprobe.samples.sample_set import SampleSet

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


def full_record(
    run: "Run", samples: SampleSet | Runs | None = None, *, keep_own: bool = False
) -> Record:
    """A finished run's record; with samples, its last checkpoint's metrics and probes are in it.

    Args:
        run, samples, keep_own: as for `probe`.

    Raises:
        FormatError: the run is not finished.
        SampleError: the samples do not fit the run.
    """
    record = make_record(one_run(run))
    if samples is None:
        return record
    measured = metrics(run, samples, frames="last")
    probed = probe(run, samples, keep_own=keep_own)
    sections = {
        "metrics": _section(measured, ("numerical_rank", "correlation_samples", "dead_units")),
        "probe": _section(probed, ("test_r2", "sparsity")),
    }
    return replace(record, sections=sections)


def _section(result: xr.Dataset, names: Sequence[str]) -> dict[str, Any]:
    """Some variables of a one-run, one-frame result, with their labels and the samples' digest."""
    last = result.isel(run=0, frame=0)
    return {
        "samples": result.attrs["samples"],
        **{dim: last[dim].values.tolist() for dim in ("layer", "component") if dim in last.dims},
        **{name: plain(last[name].values) for name in names},
    }
