"""A checkpoint's activations on a sample set, labelled."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from vrlprobe.agents.activations import BATCH_SIZE, extract_activations, known_layers
from vrlprobe.results.dataset import run_attributes, sample_attributes
from vrlprobe.runs.collection import Runs, one_run
from vrlprobe.samples.sample_set import SPLITS, SampleSet
from vrlprobe.samples.selection import check_runs, resolve_frame, samples_for, warn_of_samples

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


def activations(
    run: "Run",
    samples: SampleSet | Runs | None = None,
    *,
    frame: str | int = "last",
    layers: str | Sequence[str] | None = None,
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
    samples, _, notes = samples_for([one_run(run)], samples, keep_own=True)
    check_runs([run], samples)
    at = resolve_frame(run, frame)
    agent = run.agent(at)
    names = known_layers(agent, layers)
    warn_of_samples([run], samples, notes)
    rows = np.arange(len(samples))
    found = extract_activations(agent, samples.observations(rows), names, batch_size)
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
