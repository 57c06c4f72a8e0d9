"""What is kept of a run: a checkpoint's activations, and a finished run's record."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from vrlprobe.activations import BATCH_SIZE, extract_activations
from vrlprobe.format.record import Record, make_record, plain
from vrlprobe.samples import SPLITS, SampleSet
from vrlprobe.selection import check_runs, resolve_frames, samples_for
from vrlprobe.studies.common import run_attributes, sample_attributes
from vrlprobe.studies.measuring import metrics
from vrlprobe.studies.probing import probe

if TYPE_CHECKING:
    from vrlprobe.format.reader import Run


def activations(
    run: "Run",
    samples: "SampleSet | Sequence[Run] | None" = None,
    *,
    frame: str | int = "last",
    layers: Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
) -> xr.Dataset:
    """The activations of one checkpoint on a sample set, with the states beside them.

    Args:
        run, samples: as for `probe`.
        frame: of the checkpoint; "last" or "best" too.
        layers: names out of the agent's table; all of them if None.
        batch_size: observations in one forward pass.

    Returns:
        One float32 variable a layer, dims (sample, <layer>_unit), `state` (sample, component),
        and the coordinates `split` and `episode` of each sample. Samples are in the set's order.

    Raises:
        SampleError, UnknownLayerError, UnknownFrameError: what was asked for is not there.
    """
    samples, _ = samples_for([run], samples, keep_own=True)
    check_runs([run], samples)
    (at,) = resolve_frames(run, frame if isinstance(frame, str) else [frame])
    rows = np.arange(len(samples))
    found = extract_activations(run.agent(at), samples.observations(rows), layers, batch_size)
    split = np.array(SPLITS)[samples.split[samples.episodes]]
    return xr.Dataset(
        {
            **{name: (("sample", f"{name}_unit"), values) for name, values in found.items()},
            "state": (("sample", "component"), samples.states),
        },
        coords={
            "component": list(samples.components),
            "split": ("sample", split.astype(object)),
            "episode": ("sample", samples.episodes),
        },
        attrs={
            **run_attributes("activations", [run], {"frame": at}),
            **sample_attributes(samples),
            "frame": at,
            "checkpoint": run.digest(at),
        },
    )


def full_record(run: "Run", samples: "SampleSet | Sequence[Run] | None" = None) -> Record:
    """A finished run's record; with samples, its last checkpoint's metrics and probes are in it.

    Raises:
        FormatError: the run is not finished.
        SampleError: the samples do not fit the run.
    """
    record = make_record(run)
    if samples is None:
        return record
    measured = metrics(run, samples, frames="last")
    probed = probe(run, samples)
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
