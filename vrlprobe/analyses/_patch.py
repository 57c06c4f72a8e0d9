"""A stuck agent's layers with another agent's activations: from which on do actions vary again?"""

import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe import metrics as measure
from vrlprobe._checks import check_at_least
from vrlprobe.agents.activations import extract_activations, known_layers, probed_layers
from vrlprobe.agents.patch import patched, replaced
from vrlprobe.analyses.shared.ablation import actions_of
from vrlprobe.analyses.shared.culprit import acting_limit, answer, first_layer
from vrlprobe.analyses.shared.defaults import OBSERVATIONS
from vrlprobe.analyses.shared.donors import Donor, Pool, refuse_other_settings
from vrlprobe.analyses.shared.jobs import Network
from vrlprobe.analyses.shared.persistence import variation
from vrlprobe.analyses.shared.places import Places, named_donors
from vrlprobe.errors import TransplantError
from vrlprobe.results.dataset import (
    Track,
    run_attributes,
    sample_attributes,
)
from vrlprobe.results.schemas.patch import PATCH
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.runs.reader import Run
from vrlprobe.samples.sample_set import SampleSet, Stacked
from vrlprobe.samples.selection import (
    check_runs,
    resolve_frame,
    run_labels,
    samples_for,
    spaced,
    warn_of_samples,
)

SHARED = ("task", "image_size", "image_shape", "frame_stack")
"""Settings that agents must share, so that they see the same observations."""


@PATCH.documented
def patch(
    runs: Runs,
    donors: Places,
    samples: SampleSet | Runs | None = None,
    *,
    frame: str | int = "last",
    layers: str | Sequence[str] | None = None,
    n_samples: int = OBSERVATIONS,
    folder: Places = "runs",
    task: str | None = None,
    seed: int = 0,
    track: Track = iter,
) -> xr.Dataset:
    """Put a donor's activations into one layer of an agent after the other, on the same samples.

    Where an agent's actions do not vary, patches before the part that is to blame change nothing,
    as it collapses them, too; with a patch behind it, the actions vary again.

    Parameters
    ----------
    runs : Run or list of Run
        Open runs, of agents that are stuck.
    donors : str or Run or list
        Checkpoints of agents that act, as for `stitch`: runs, `seed1.h5@40000`, `good`, `blank`.
    samples : SampleSet or Run or list of Run, optional
        A sample set, or well-performing runs to make one from. The donors' final rollouts if None.
    frame : str or int
        Of the runs' checkpoints: "last", "best" or a frame.
    layers : list of str, optional
        Names of layers; all but the images and the actions if None.
    n_samples : int
        Largest number of observations, evenly spaced over the samples.
    folder : str or Path
        Folder of finished runs that classes of donors are drawn from, or run files.
    task : str, optional
        Of the runs drawn from; needed where there are several.
    seed : int
        Of the draw and of blank networks.
    track : callable
        Wraps the sequence of work items, for instance to show progress.

    Returns
    -------
    xarray.Dataset
        The variables below; `action_spread` is NaN where the layers differ in width. The attribute
        `answer` says it in a sentence.

        {variables}

    Raises
    ------
    SampleError, UnknownLayerError, UnknownFrameError, TransplantError
        What was asked for is not there, or the agents do not see the same.
    """
    check_at_least(2, n_samples=n_samples)
    runs = run_list(runs)
    refuse_twice(runs)
    with ExitStack() as stack:
        pool = Pool(folder, stack, seed=seed, pair="different", task=task)
        given = named_donors(donors, "last", pool)
        for run in runs:
            for label, donor in given:
                refuse_other_settings(
                    run, donor.run, SHARED, f"{label} cannot be patched into {run.path.name}"
                )
        sources = list({d.run.location: d.run for _, d in given}.values())
        chosen, _, notes = samples_for([*runs, *sources], samples or sources, keep_own=True)
        check_runs([*runs, *sources], chosen)
        warn_of_samples([*runs, *sources], chosen, notes)
        seen = chosen.stacked(spaced(len(chosen), min(n_samples, len(chosen))))
        result = _measured(runs, given, seen, frame, layers, track)
    arguments = {"frame": frame, "seed": seed}
    result.attrs |= run_attributes("patch", runs, arguments) | sample_attributes(chosen)
    result.attrs |= {"n_samples": seen.shape[0], "answer": answer(result)}
    return result


def _measured(
    runs: Sequence[Run],
    donors: Sequence[tuple[str, Donor]],
    seen: Stacked,
    frame: str | int,
    layers: str | Sequence[str] | None,
    track: Track,
) -> xr.Dataset:
    """The result without its attributes."""
    frames = [resolve_frame(run, frame) for run in runs]
    first = runs[0].agent(frames[0])
    inner = [name for name in probed_layers(first) if first.layers[name]] or probed_layers(first)
    names = known_layers(first, inner if layers is None else layers)
    labels = run_labels(runs)
    coords = {"run": labels, "donor": [label for label, _ in donors], "layer": names}
    result = PATCH.blank(coords)
    for label, run, at in zip(labels, runs, frames, strict=True):
        agent = run.agent(at)
        result["own_spread"].loc[label] = measure.action_std(actions_of(agent, seen))
        result["at_frame"].loc[label] = at
        own = extract_activations(agent, seen, names)
        result["variation"].loc[label] = [variation(own[name]) for name in names]
    for label, donor in donors:
        agent = network_of(donor).agent()
        theirs = extract_activations(agent, seen, names)
        result["donor_spread"].loc[label] = measure.action_std(actions_of(agent, seen))
        result["donor_frame"].loc[label] = -1 if donor.frame is None else donor.frame
        result["donor_variation"].loc[label] = [variation(theirs[name]) for name in names]
        for place in track(range(len(runs))):
            stuck = runs[place].agent(frames[place])
            spread = patched_spreads(stuck, theirs, seen)
            where = {"run": labels[place], "donor": label}
            result["action_spread"].loc[where] = [spread[name] for name in names]
            limit = acting_limit(result["donor_spread"].sel(donor=label).item())
            result["first_layer"].loc[where] = first_layer(spread, limit)
    _warn_of_widths(result)
    return result


def network_of(donor: Donor) -> Network:
    """The donor's networks."""
    return Network(donor.run.location, donor.frame, donor.run, donor.seed)


def patched_spreads(
    agent: Any, theirs: dict[str, npt.NDArray[np.float32]], seen: Stacked
) -> dict[str, float]:
    """Standard deviation of an agent's action with each layer replaced; NaN where widths differ.

    Parameters
    ----------
    agent : agent
        What is patched.
    theirs : dict of array of shape (n_samples, n_features)
        The donor's activations by layer, for the same observations.
    seen : Stacked
        The observations.
    """
    few = seen[slice(0, 1)]
    widths = {name: v.shape[1] for name, v in extract_activations(agent, few, [*theirs]).items()}
    found = {}
    for name, values in theirs.items():
        if values.shape[1] != widths[name]:
            found[name] = float("nan")
            continue
        with patched(agent, {name: replaced(values)}):
            found[name] = measure.action_std(actions_of(agent, seen))
    return found


def _warn_of_widths(result: xr.Dataset) -> None:
    untried = result["action_spread"].isnull().any(["run", "donor"])
    if untried.all():
        raise TransplantError("no layer of the donors has the width of the runs': none can be put")
    if untried.any():
        names = ", ".join(result["layer"].values[untried.values].tolist())
        warnings.warn(f"not patched, as the widths differ: {names}", UserWarning, stacklevel=4)
