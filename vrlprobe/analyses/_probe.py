"""Which layers of which checkpoints linearly hold which parts of the state."""

import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from vrlprobe._checks import as_list, check_given
from vrlprobe.agents.activations import known_layers, probed_layers
from vrlprobe.analyses.shared.cache import Parts
from vrlprobe.analyses.shared.defaults import CONTROLS
from vrlprobe.analyses.shared.jobs import Fit, Job, Planner, Rows, common_sources, run_jobs
from vrlprobe.device import check_device
from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.probes import DEFAULT_MAX_ATOMS, Scores
from vrlprobe.probes.registry import ProbeSettings
from vrlprobe.results.dataset import (
    Track,
    Variables,
    all_frames,
    blank,
    run_attributes,
    sample_attributes,
)
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import (
    Frames,
    check_runs,
    resolve_frames,
    run_labels,
    samples_for,
    warn_of_samples,
)

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run

EACH = ("run", "frame", "layer", "component")
VARIABLES: Variables = {
    "train_mse": (EACH, np.nan, "mean squared error on the training samples"),
    "val_mse": (EACH, np.nan, "mean squared error on the validation samples"),
    "test_mse": (EACH, np.nan, "mean squared error on the test samples"),
    "test_r2": (EACH, np.nan, "1 - test_mse / variance of the test samples"),
    "sparsity": (EACH, -1, "number of atoms, chosen on the validation samples"),
    "at_edge": (EACH, False, "the sparsity is the largest that was tried"),
    "mean_mse": (("run", "component"), np.nan, "test error of the training mean"),
    "n_features": (("run", "layer"), 0, "number of activations"),
    "episode_return": (("run", "frame"), np.nan, "mean return of the checkpoint's rollout"),
    "final_return": (("run",), np.nan, "last known mean return of the run, probed there or not"),
    "contributed": (("run",), False, "the run, or a donor of its, is a source of the samples"),
    "n_test": (("run",), 0, "number of test samples"),
    "checkpoint": (("run", "frame"), "", "SHA-256 of the checkpoint's parameters"),
}

CONTROLLED = ("control", *EACH)
CONTROL_VARIABLES: Variables = {
    "control_test_mse": (CONTROLLED, np.nan, "test_mse of the control"),
    "control_test_r2": (CONTROLLED, np.nan, "test_r2 of the control"),
    "control_sparsity": (CONTROLLED, -1, "sparsity of the control"),
    "selectivity": (CONTROLLED, np.nan, "test_r2 - max(control_test_r2, 0)"),
}

Where = dict[str, Any]


def probe(
    runs: Runs,
    samples: SampleSet | Runs | None = None,
    *,
    frames: Frames = "last",
    layers: str | Sequence[str] | None = None,
    components: str | Sequence[str] | None = None,
    kind: str = "omp",
    max_atoms: int = DEFAULT_MAX_ATOMS,
    min_active: int | None = None,
    controls: str | Iterable[str] | None = (),
    keep_own: bool = False,
    cache: str | Path | None = None,
    n_jobs: int = 1,
    device: str | torch.device = "cpu",
    track: Track = iter,
) -> xr.Dataset:
    """Which layers linearly hold which parts of the state (paper, section 4.1).

    For every layer and component a sparse linear probe is fitted on the training samples, its
    sparsity chosen on the validation samples, its error taken on the test samples.

    Args:
        runs: one open run, or several of one task.
        samples: a sample set, or open runs to make one from; for a lone run without one, its own
            final rollouts serve, with a warning.
        frames: "last", "all", "best" (by return, the earliest of equals), or frames. They must
            be in every run; with "last" and "best" each run has its own.
        layers: names out of the agents' tables; all but the action if None.
        components: names or aliases of the state's components; all if None.
        kind: "omp", the paper's; "ridge", linear in all activations; "mlp", not linear.
        max_atoms: of "omp", the largest sparsity tried.
        min_active: of "omp", training samples on which a unit differs from 0 to be an atom; one
            in a hundred if None.
        controls: baselines to fit as well: "shuffled" (the states of other episodes at the same
            share of their length: what the time within an episode tells), "blank" (an untrained
            network of the same architecture, drawn with the run's seed if it has one); none if
            None.
        keep_own: test on the runs' own episodes too. Else those of sources from which any of the
            runs has its networks (`SampleSet.contributions`) are left out for all, so that they
            are compared on the same episodes; where none would be left, each run's own alone, with
            a warning.
        cache: a folder for what is fitted, so that an interrupted call goes on where it stopped
            and nothing is fitted twice; None keeps it for this call alone.
        n_jobs: processes to share the work, -1 for one a core; each needs memory of its own. On
            another device than the CPU one process does it all.
        device: where the networks run and the probes are fitted, "cpu", "cuda" …
        track: wraps the sequence of work items, for instance to show progress.

    Returns:
        Dims (run, frame, layer, component): `train_mse`, `val_mse`, `test_mse` in the component's
        squared units, `test_r2` (1 - error / variance on the test samples; NaN for a constant),
        `sparsity` (-1 where not computed; all units but for "omp"), `at_edge` (the chosen sparsity
        is `max_atoms`, and there were more units to choose; for "ridge" and "mlp", the penalty or
        epoch is an end of what was tried). With controls, dims (control, run, frame, layer,
        component): `control_test_mse`, `control_test_r2`, `control_sparsity`, and `selectivity`,
        `test_r2` minus the control's (Hewitt and Liang, 2019), which counts as 0 where it is below:
        worse than the mean is no information, and no merit of the probe. Dims (run, component):
        `mean_mse`, the test error of the training mean. Dims (run, layer): `n_features`. Dims (run,
        frame): `episode_return`, `checkpoint` (its digest). Dims (run,): `contributed`, `n_test`,
        `final_return`, by which agents are classed: the run's last known return, whichever of its
        frames are probed. NaN where a run lacks a frame.

    Raises:
        SampleError, UnknownLayerError, UnknownFrameError: what was asked for is not there, or a
            run is given twice.
        ValueError: a kind, control or number that cannot be.
    """
    controls = list(dict.fromkeys(as_list(() if controls is None else controls)))
    for name in controls:
        if name not in CONTROLS:
            raise ValueError(f"controls are {', '.join(CONTROLS)}, not {name!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs must be at least 1, or -1 for one a core, not 0")
    check_given(-sys.maxsize, n_jobs=n_jobs)
    check_device(device)
    device = str(device)
    runs = run_list(runs)
    refuse_twice(runs)
    samples, keep_own, notes = samples_for(runs, samples, keep_own)
    check_runs(runs, samples)
    wanted = samples.columns(components)
    chosen = [resolve_frames(run, frames) for run in runs]
    names = _shared_layers(runs, chosen, layers)
    labels = run_labels(runs)
    others = common_sources(samples, runs)
    rows = [Rows(samples, run, wanted, keep_own, others) for run in runs]
    settings = ProbeSettings(kind, max_atoms, min_active, device)
    if (least := min_active or 0) > (n_train := len(samples.rows("train"))):
        raise SampleError(
            f"min_active is {least}, but there are {n_train} training samples: no unit can be an "
            "atom"
        )
    warn_of_samples(runs, samples, notes)
    if len({part.without for part in rows}) > 1:
        warnings.warn(
            "the runs are tested on different episodes, as each one's own and its donors' are left "
            "out: take a set to which none of them contributed, or keep all (`keep_own=True`)",
            stacklevel=2,
        )
    planners = [Planner(run, part, settings) for run, part in zip(runs, rows, strict=True)]
    fits = _fits(planners, labels, chosen, names, controls)
    parts = Parts(None if cache is None else Path(cache) / "probe")
    _compute(planners, [fit for _, fit in fits], parts, n_jobs if device == "cpu" else 1, track)
    coords: dict[str, Sequence[Any]] = {
        "run": labels,
        "frame": all_frames(chosen),
        "layer": names,
        "component": wanted,
    }
    result = _assembled(coords, controls, [(where, parts[fit.key]) for where, fit in fits])
    for place, run in enumerate(runs):
        _describe_run(result.isel(run=place), run, chosen[place], rows[place])
    arguments = {**vars(settings), "keep_own": keep_own, "frames": frames}
    return result.assign_attrs(
        run_attributes("probe", runs, arguments) | sample_attributes(samples)
    )


def _shared_layers(
    runs: "Sequence[Run]", chosen: Sequence[Sequence[int]], layers: str | Sequence[str] | None
) -> tuple[str, ...]:
    """The layers asked for, or all of the first run's; every run must have them.

    Raises:
        UnknownLayerError: one of them has not.
    """
    first = runs[0].agent(chosen[0][0])
    names = known_layers(first, probed_layers(first) if layers is None else layers)
    kinds = {str(runs[0].config.get("architecture"))}
    for run, frames in zip(runs, chosen, strict=True):
        if (kind := str(run.config.get("architecture"))) in kinds:
            continue
        kinds.add(kind)
        try:
            known_layers(run.agent(frames[0]), names)
        except UnknownLayerError as error:
            raise UnknownLayerError(f"{run.path.name}, of architecture {kind}: {error}") from None
    return names


def _fits(
    planners: Sequence[Planner],
    labels: Sequence[str],
    chosen: Sequence[Sequence[int]],
    layers: Sequence[str],
    controls: Sequence[str],
) -> list[tuple[Where, Fit]]:
    """Every fit of a result with its place in it."""
    return [
        (
            {"run": label, "frame": frame, "layer": layer, "control": control},
            planner.fit(frame, layer, control),
        )
        for label, planner, frames in zip(labels, planners, chosen, strict=True)
        for frame in frames
        for layer in layers
        for control in (None, *controls)
    ]


def _compute(
    planners: Sequence[Planner], fits: Sequence[Fit], parts: Parts, n_jobs: int, track: Track
) -> None:
    """Make the parts that are missing, each once, whichever runs and frames share it."""
    missing: dict[str, Fit] = {}
    for fit in fits:
        if fit.key not in parts:
            missing.setdefault(fit.key, fit)
    jobs: list[Job] = []
    for planner in planners:
        own = [fit for fit in missing.values() if fit.rows is planner.rows]
        jobs += planner.jobs(own)
    made = run_jobs(jobs, n_jobs, parts)
    for _ in track(range(len(missing))):
        next(made)


def _assembled(
    coords: dict[str, Sequence[Any]],
    controls: Sequence[str],
    scores: Sequence[tuple[Where, Scores]],
) -> xr.Dataset:
    """The result with every fit's scores at their place, those of controls in their variables."""
    if controls:
        result = blank({**coords, "control": controls}, {**VARIABLES, **CONTROL_VARIABLES})
    else:
        result = blank(coords, VARIABLES)
    for where, values in scores:
        for name, value in values.items():
            target = name if where["control"] is None else f"control_{name}"
            if target in result:
                dims = [dim for dim in result[target].dims if dim in where]
                result[target].loc[{dim: where[dim] for dim in dims}] = value
    if controls:
        difference = result["test_r2"] - result["control_test_r2"].clip(min=0)
        result["selectivity"].values = difference.transpose(*CONTROLLED).values
    return result


def _describe_run(part: xr.Dataset, run: "Run", frames: Sequence[int], rows: Rows) -> None:
    """What a run's part of a result says beside the probes' scores, put in place."""
    for frame in frames:
        part["episode_return"].loc[frame] = run.mean_return(frame)
        part["checkpoint"].loc[frame] = run.digest(frame)
    from_the_end = map(run.mean_return, run.frames[::-1].tolist())
    part["final_return"][()] = next(filter(np.isfinite, from_the_end), np.nan)
    states = rows.states()
    errors = states["test"] - states["train"].mean(axis=0)
    part["mean_mse"][:] = (errors**2).mean(axis=0)
    part["n_test"][()] = len(states["test"])
    part["contributed"][()] = bool(rows.own)
