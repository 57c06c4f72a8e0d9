"""How alike the layers of checkpoints are: between runs, and over training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import check_at_least
from vrlprobe.agents.activations import (
    BATCH_SIZE,
    extract_activations,
    known_layers,
    probed_layers,
)
from vrlprobe.analyses.shared.defaults import COMPARED
from vrlprobe.metrics.similarity import FEWEST, gram_direction
from vrlprobe.results.dataset import (
    Track,
    all_frames,
    run_attributes,
    sample_attributes,
)
from vrlprobe.results.schemas.similarity import SIMILARITY
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.runs.reader import Run
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import (
    Frames,
    check_runs,
    resolve_frames,
    run_labels,
    samples_for,
    spaced,
    warn_of_samples,
)


@SIMILARITY.documented
def similarity(
    runs: Runs,
    samples: SampleSet | Runs | None = None,
    *,
    frames: Frames = "all",
    layers: str | Sequence[str] | None = None,
    n_samples: int = COMPARED,
    batch_size: int = BATCH_SIZE,
    track: Track = iter,
) -> xr.Dataset:
    """Compare each layer of every checkpoint with that layer of every other, by linear CKA.

    Probes ask what of the state is linear in a layer. CKA asks how alike two layers are, whatever
    they hold of the state and in whatever basis.

    Parameters
    ----------
    runs : Run or list of Run
        Open runs of one task.
    samples : SampleSet or Run or list of Run, optional
        A sample set, or well-performing runs to make one from: every checkpoint sees the same
        observations. None takes the final rollouts of a lone run, with a warning.
    frames : str or int or list of int
        "all", "last", "best", or frames.
    layers : list of str, optional
        Names of layers. All but the images and the actions if None.
    n_samples : int
        Largest number of observations, evenly spaced over the samples.
    batch_size : int
        Observations in one forward pass.
    track : callable
        Wraps the sequence of work items, for instance to show progress.

    Returns
    -------
    xarray.Dataset
        The variables below; `cka` is `vrlprobe.metrics.linear_cka`, NaN where a layer is constant.
        The attribute `n_samples` is the number of observations.

        {variables}

    Raises
    ------
    SampleError, UnknownLayerError, UnknownFrameError
        What was asked for is not there, or a run is given twice.
    ValueError
        Fewer than four samples, or a batch of none.
    """
    check_at_least(FEWEST, n_samples=n_samples)
    check_at_least(1, batch_size=batch_size)
    runs = run_list(runs)
    refuse_twice(runs)
    chosen = [resolve_frames(run, frames) for run in runs]
    names = _layers(runs[0].agent(chosen[0][0]), layers)
    found, _, notes = samples_for(runs, samples, keep_own=True)
    check_runs(runs, found)
    warn_of_samples(runs, found, notes)
    seen = found.observations(spaced(len(found), min(n_samples, len(found))))
    labels = run_labels(runs)
    result = _described(labels, runs, chosen, names)
    places = [(place, frame) for place, there in enumerate(chosen) for frame in there]
    at = [(labels[place], frame) for place, frame in places]
    jobs = [(layer, *where) for layer in names for where in places]
    directions = (
        _direction(runs[place], frame, layer, seen, batch_size)
        for layer, place, frame in track(jobs)
    )
    for layer in names:
        rows = np.stack([next(directions) for _ in places])
        _fill(result["cka"], layer, at, rows @ rows.T)
    arguments = {"frames": frames, "layers": list(names)}
    attributes = run_attributes("similarity", runs, arguments) | sample_attributes(found)
    return result.assign_attrs({**attributes, "n_samples": len(seen)})


def _layers(agent: Any, layers: str | Sequence[str] | None) -> tuple[str, ...]:
    """The layers asked for; if None all but what every agent has alike, its input, and the output.

    Raises:
        UnknownLayerError: there is no such layer.
    """
    inner = [name for name in probed_layers(agent) if agent.layers[name]]
    return known_layers(agent, (inner or probed_layers(agent)) if layers is None else layers)


def _described(
    labels: Sequence[str],
    runs: Sequence[Run],
    chosen: Sequence[Sequence[int]],
    names: Sequence[str],
) -> xr.Dataset:
    """The result without similarities."""
    every = all_frames(chosen)
    coords: dict[str, Sequence[Any]] = {
        "run": labels,
        "frame": every,
        "other_run": labels,
        "other_frame": every,
        "layer": names,
    }
    result = SIMILARITY.blank(coords)
    for label, run, frames in zip(labels, runs, chosen, strict=True):
        known = run.returns[np.isfinite(run.returns)]
        result["final_return"].loc[label] = known[-1] if len(known) else np.nan
        for frame in frames:
            result["episode_return"].loc[label, frame] = run.mean_return(frame)
            result["checkpoint"].loc[label, frame] = run.digest(frame)
    return result


def _direction(
    run: Run, frame: int, layer: str, seen: npt.NDArray[np.uint8], batch_size: int
) -> npt.NDArray[np.float32]:
    """A layer's direction, see `gram_direction`; in float32, as those of all runs are held."""
    values = extract_activations(run.agent(frame), seen, layer, batch_size)[layer]
    return gram_direction(values).astype(np.float32)


def _fill(
    cka: xr.DataArray, layer: str, at: Sequence[tuple[str, int]], found: npt.NDArray[np.float32]
) -> None:
    """Put similarities (n_checkpoints, n_checkpoints) at their checkpoints' places."""
    places = [(cka.get_index("run").get_loc(run), cka.get_index("frame").get_loc(frame))
              for run, frame in at]  # fmt: skip
    run, frame = np.array(places).T
    level = cka.values[..., cka.get_index("layer").get_loc(layer)]
    level[run[:, None], frame[:, None], run, frame] = found
