"""Why an agent is stuck: since when, which part and layer, what lasts, and what to do."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe import metrics as measure
from vrlprobe._checks import check_at_least
from vrlprobe.agents.activations import extract_activations, known_layers, probed_layers
from vrlprobe.agents.drqv2 import TANHS
from vrlprobe.agents.stitched import StitchedAgent
from vrlprobe.analyses._collapse import judged
from vrlprobe.analyses._patch import SHARED, network_of, patched_spreads
from vrlprobe.analyses.shared.advice import chances, diagnosis
from vrlprobe.analyses.shared.culprit import acting_limit, first_layer
from vrlprobe.analyses.shared.defaults import DIAGNOSED
from vrlprobe.analyses.shared.donors import Donor, Pool, refuse_other_settings
from vrlprobe.analyses.shared.gap import PARTS, explained, layers_of, r2_gap
from vrlprobe.analyses.shared.persistence import (
    effective_steps,
    layer_state,
    q_state,
    tanh_inputs,
    weight_norms,
)
from vrlprobe.analyses.shared.places import Places, named_donors
from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.results.dataset import (
    BOUNDS,
    Track,
    run_attributes,
    sample_attributes,
)
from vrlprobe.results.schemas.diagnose import DIAGNOSE
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.runs.reader import Run
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import (
    check_runs,
    resolve_frame,
    run_labels,
    samples_for,
    spaced,
    warn_of_samples,
)

Seen = npt.NDArray[np.uint8]
Errors = dict[str, npt.NDArray[np.float64]]


@DIAGNOSE.documented
def diagnose(
    runs: Runs,
    against: Places = (),
    samples: SampleSet | Runs | None = None,
    *,
    frame: str | int = "last",
    window: int | None = None,
    n_samples: int = DIAGNOSED,
    seed: int = 0,
    track: Track = iter,
) -> xr.Dataset:
    """Say why agents are stuck: since when, by which part and layer, what lasts, and what to do.

    Each agent is stitched with a reference and patched with its activations, layer by layer; it is
    measured beside it.

    Parameters
    ----------
    runs : Run or list of Run
        Open runs of one task.
    against : str or Run or list, optional
        Checkpoints of agents that act, as for `stitch`. Without, each run is compared with its
        own earlier checkpoint that acts most, and with blank networks.
    samples : SampleSet or Run or list of Run, optional
        A sample set, or well-performing runs to make one from; the references' final rollouts if
        None, or those of a lone run.
    frame : str or int
        Of the runs' checkpoints: "last", "best" or a frame.
    window : int, optional
        As for `collapse`.
    n_samples : int
        Largest number of observations, evenly spaced over the samples.
    seed : int
        Of blank networks and the bootstrap.
    track : callable
        Wraps the sequence of work items, for instance to show progress.

    Returns
    -------
    xarray.Dataset
        The variables below; an `agent` is a run or a reference.

        {variables}

    Raises
    ------
    SampleError, UnknownFrameError, TransplantError
        What was asked for is not there, or the agents do not see the same.
    """
    check_at_least(4, n_samples=n_samples)
    runs = run_list(runs)
    refuse_twice(runs)
    with ExitStack() as stack:
        pool = Pool("runs", stack, seed=seed, pair="different")
        given = named_donors(against, "last", pool) if against else []
        labels = run_labels(runs)
        frames = [resolve_frame(run, frame) for run in runs]
        pairs = [
            (label, run, at, given or _own_references(label, run, at, pool))
            for label, run, at in zip(labels, runs, frames, strict=True)
        ]
        _refuse_others(pairs)
        sources = list({d.run.location: d.run for _, d in given}.values())
        own = samples or sources or (runs[0] if len(runs) == 1 else None)
        chosen, _, notes = samples_for([*runs, *sources], own, keep_own=True)
        check_runs([*runs, *sources], chosen)
        warn_of_samples([*runs, *sources], chosen, notes)
        rows = spaced(len(chosen), min(n_samples, len(chosen)))
        result = _blank_result(pairs)
        logged = chances([*runs, *sources])
        errors: dict[str, Errors] = {}
        for label, run, at, references in track(pairs):
            _judge(result, label, run, window)
            _compare(result, (label, run, at), references, (chosen, rows), errors, seed)
            result["text"].loc[label] = diagnosis(result, label, run, logged)
        arguments = {"frame": frame, "window": window, "seed": seed}
        result.attrs |= run_attributes("diagnose", runs, arguments) | sample_attributes(chosen)
    return result.assign_attrs(n_samples=len(rows))


def _refuse_others(pairs: Sequence[tuple[str, Run, int, list[tuple[str, Donor]]]]) -> None:
    """Raise TransplantError for references that see something else than their runs."""
    for _, run, _, references in pairs:
        for name, donor in references:
            what = f"{name} cannot be compared with {run.path.name}"
            refuse_other_settings(run, donor.run, SHARED, what)


def _own_references(label: str, run: Run, at: int, pool: Pool) -> list[tuple[str, Donor]]:
    """A run's earlier checkpoint whose logged actions vary most, where they do, and blank parts."""
    from vrlprobe.collapse.measurements import measurements

    whole = measurements(run)
    spread = np.where(whole.frames < at, whole.values[ACTION_STD.name], np.nan)
    found = [(f"{label}, blank", pool.blank(run))]
    if ACTION_STD.healthy(spread).any():
        best = int(whole.frames[np.nanargmax(spread)])
        found += named_donors(f"{run.location}@{best}", "last", pool)
    return found


def _blank_result(pairs: Sequence[tuple[str, Run, int, Any]]) -> xr.Dataset:
    """The result with nothing filled in."""
    _, run, at, _ = pairs[0]
    agent = run.agent(at)
    layers = [name for name in probed_layers(agent) if agent.layers[name]]
    agents = list(dict.fromkeys([*(p[0] for p in pairs), *(r[0] for p in pairs for r in p[3])]))
    coords: dict[str, Sequence[Any]] = {
        "run": [pair[0] for pair in pairs],
        "reference": list(dict.fromkeys(r[0] for p in pairs for r in p[3])),
        "agent": agents,
        "layer": known_layers(agent, layers or None),
        "weight": list(weight_norms(run, at)),
        "tanh": list(TANHS),
        "part": list(PARTS),
        "bound": BOUNDS,
    }
    return DIAGNOSE.blank(coords)


def _judge(result: xr.Dataset, label: str, run: Run, window: int | None) -> None:
    """Fill in the verdict of a run's log."""
    try:
        verdict = judged(run, window=window)[1]
    except SampleError as error:
        result["verdict"].loc[label], result["reason"].loc[label] = "unknown", str(error)
        return
    result["verdict"].loc[label], result["reason"].loc[label] = verdict.word, verdict.reason
    result["since"].loc[label] = -1 if verdict.frame is None else verdict.frame


def _compare(
    result: xr.Dataset,
    item: tuple[str, Run, int],
    references: Sequence[tuple[str, Donor]],
    taken: tuple[SampleSet, npt.NDArray[np.int64]],
    errors: dict[str, Errors],
    seed: int,
) -> None:
    """Fill in a run beside each of its references, whose ``errors`` are kept for other runs."""
    (label, run, at), (samples, rows) = item, taken
    seen, agent = samples.observations(rows), run.agent(at)
    layers = result["layer"].values.tolist()
    _measure(result, label, run, at, agent, seen)
    own = _errors(agent, samples, rows, layers)
    for name, donor in references:
        other = network_of(donor).agent()
        if np.isnan(result["action_spread"].sel(agent=name)):
            _measure(result, name, donor.run, donor.frame, other, seen)
        where = {"run": label, "reference": name}
        for variable, pair in (
            ("encoder_spread", (agent, other)),
            ("actor_spread", (other, agent)),
        ):
            result[variable].loc[where] = _stitched_spread(*pair, seen)
        theirs = extract_activations(other, seen, layers)
        spread = patched_spreads(agent, theirs, samples.stacked(rows))
        result["patched_spread"].loc[where] = [spread[layer] for layer in layers]
        limit = acting_limit(float(result["action_spread"].sel(agent=name)))
        result["first_layer"].loc[where] = first_layer(spread, limit)
        if name not in errors:
            errors[name] = _errors(other, samples, rows, layers)
        for part in own.keys() & errors[name].keys():
            gap = r2_gap(errors[name][part], own[part], seed)
            result["r2_gap"].loc[{**where, "part": part}] = gap


def _errors(
    agent: Any, samples: SampleSet, rows: npt.NDArray[np.int64], layers: Sequence[str]
) -> Errors:
    """Errors of probes by part of an agent; the last layer of each part is where it hands on."""
    names = {part: layers_of(agent, layers, part) for part in PARTS}
    return {part: explained(agent, samples, rows, own) for part, own in names.items() if own}


def _stitched_spread(cnn: Any, mlp: Any, seen: Seen) -> float:
    """Action std of one agent's encoder with another's actor; NaN where they do not fit."""
    try:
        return float(measure.action_std(StitchedAgent(cnn, mlp).act(seen)))
    except (FormatError, RuntimeError):
        return float("nan")


def _measure(
    result: xr.Dataset, label: str, run: Run, at: int | None, agent: Any, seen: Seen
) -> None:
    """Fill in what is measured of one agent."""
    layers = result["layer"].values.tolist()
    result["at_frame"].loc[label] = -1 if at is None else at
    result["episode_return"].loc[label] = np.nan if at is None else run.mean_return(at)
    actions = agent.act(seen)
    result["action_spread"].loc[label] = measure.action_std(actions)
    for name, values in layer_state(agent, seen, layers).items():
        result[name].loc[label] = [values[layer] for layer in layers]
    by_name = {
        "weight_norm": {} if at is None else weight_norms(run, at),
        "effective_step": {} if at is None else effective_steps(run, at),
        "pre_tanh": tanh_inputs(agent, seen),
    }
    for name, values in by_name.items():
        dim = "tanh" if name == "pre_tanh" else "weight"
        for key in result[dim].values.tolist():
            result[name].loc[{"agent": label, dim: key}] = values.get(key, np.nan)
    for name, value in q_state(agent, seen, actions.shape[1]).items():
        result[name].loc[label] = value
