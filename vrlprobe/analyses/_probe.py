"""Which layers of which checkpoints linearly hold which parts of the state."""

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from vrlprobe._checks import as_list, check_at_least, check_jobs
from vrlprobe.agents.activations import known_layers, probed_layers
from vrlprobe.analyses.shared.cache import Parts
from vrlprobe.analyses.shared.defaults import CONTROLS, N_JOBS
from vrlprobe.analyses.shared.jobs import Fit, Job, Planner, Rows, common_sources, run_jobs
from vrlprobe.analyses.shared.variants import (
    Variants,
    compare_variants,
    describe_splits,
    mean_over_splits,
    put_scores,
)
from vrlprobe.device import check_device
from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.probes import DEFAULT_MAX_ATOMS, Scores
from vrlprobe.probes.kinds import PROBES
from vrlprobe.probes.registry import Floats, ProbeSettings
from vrlprobe.results.dataset import (
    BOUNDS,
    Track,
    all_frames,
    run_attributes,
    sample_attributes,
)
from vrlprobe.results.schemas.probe import PROBE
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
from vrlprobe.samples.split import repeated_splits

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


Where = dict[str, Any]


logger = logging.getLogger(__name__)


@PROBE.documented
def probe(
    runs: Runs,
    samples: SampleSet | Runs | None = None,
    *,
    frames: Frames = "last",
    layers: str | Sequence[str] | None = None,
    components: str | Sequence[str] | None = None,
    kind: str | Iterable[str] = "omp",
    max_atoms: int = DEFAULT_MAX_ATOMS,
    min_active: int | None = None,
    controls: str | Iterable[str] | None = (),
    splits: int = 1,
    keep_own: bool = False,
    cache: str | Path | None = None,
    n_jobs: int = N_JOBS,
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
        kind: "omp", the paper's; "ridge", linear in all activations; "mlp", not linear. Of several,
            the first is the probe of the controls and the splits.
        max_atoms: of "omp", the largest sparsity tried.
        min_active: of "omp", training samples on which a unit differs from 0 to be an atom. None
            takes one in a hundred; `SparseProbe` and `omp_path` take 1, as scikit-learn.
        controls: baselines to fit as well: "shuffled" (the states of other episodes at the same
            share of their length: what the time within an episode tells), "blank" (an untrained
            network of the same architecture, drawn with the run's seed if it has one), "width"
            (as many random live units of each layer as the narrowest of `layers` has units, the
            mean over five draws: what more units alone bring); none if None.
        splits: how many times the probes are fitted, each time with the set's episodes assigned
            anew to training, validation and test; the first split is the set's own.
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
        The variables below; NaN where a run lacks a frame or a component is constant. MSE is in
        the component's squared units. `sparsity` is the number of all units but for "omp".
        `at_edge`: for "omp", the chosen sparsity is `max_atoms`, and there were more units to
        choose; for "ridge" and "mlp", the penalty or epoch is an end of what was tried.
        `selectivity` (Hewitt and Liang, 2019) counts a control that is worse than the mean as 0,
        as does `nonlinear_gap`. All variables without a dimension `probe` or `split` are of the
        first kind and split. `final_return`, by which agents are classed, is the run's last known
        return, whichever of its frames are probed.

        {variables}

    Raises:
        SampleError, UnknownLayerError, UnknownFrameError: what was asked for is not there, or a
            run is given twice; the sample set has too few episodes for so many splits.
        ValueError: a kind, control or number that cannot be.
    """
    variants = _variants(
        kind,
        ProbeSettings(max_atoms=max_atoms, min_active=min_active, device=str(device)),
        controls,
        splits,
    )
    check_jobs(n_jobs)
    check_device(device)
    runs = run_list(runs)
    refuse_twice(runs)
    samples, keep_own, notes = samples_for(runs, samples, keep_own)
    check_runs(runs, samples)
    wanted = samples.columns(components)
    chosen = [resolve_frames(run, frames) for run in runs]
    names = _shared_layers(runs, chosen, layers)
    rows = _rows(samples, runs, wanted, keep_own, splits)
    if (least := min_active or 0) > (n_train := len(samples.rows("train"))):
        raise SampleError(
            f"min_active is {least}, but there are {n_train} training samples: no unit can be an "
            "atom"
        )
    warn_of_samples(runs, samples, notes)
    _warn_of_different_tests(rows)
    planners = [Planner(run, own) for run, own in zip(runs, rows, strict=True)]
    labels = run_labels(runs)
    fits = _fits(planners, labels, chosen, names, variants)
    parts = Parts(None if cache is None else Path(cache) / "probe")
    _compute(planners, [fit for _, fit in fits], parts, n_jobs if device == "cpu" else 1, track)
    coords: dict[str, Sequence[Any]] = {
        "run": labels,
        "frame": all_frames(chosen),
        "layer": names,
        "component": wanted,
    }
    result = _assembled(coords, variants, len(samples.split), [(w, parts[f.key]) for w, f in fits])
    for place, run in enumerate(runs):
        _describe_run(result.isel(run=place), run, chosen[place], rows[place][0])
    if splits > 1:
        _fill_splits(result, fits, parts, rows)
    own = {"keep_own": keep_own, "frames": frames}
    arguments = {**vars(variants.settings), **own, **variants.arguments}
    return result.assign_attrs(
        run_attributes("probe", runs, arguments) | sample_attributes(samples)
    )


def _variants(
    kind: str | Iterable[str],
    settings: ProbeSettings,
    controls: str | Iterable[str] | None,
    splits: int,
) -> Variants:
    """The fits that are asked for; raises ValueError for those that cannot be made."""
    names = list(dict.fromkeys(as_list(() if controls is None else controls)))
    for name in names:
        if name not in CONTROLS:
            raise ValueError(f"controls are {', '.join(CONTROLS)}, not {name!r}")
    check_at_least(1, splits=splits)
    kinds = list(dict.fromkeys(as_list(kind)))
    if not kinds:
        raise ValueError(f"no kind of probe is asked for: there are {', '.join(PROBES)}")
    first, *_ = [replace(settings, probe=name) for name in kinds]
    return Variants(first, names, kinds, int(splits))


def _rows(
    samples: SampleSet, runs: "Sequence[Run]", wanted: Sequence[str], keep_own: bool, splits: int
) -> list[list[Rows]]:
    """Each run's share of the samples, in each of their splits.

    Episodes on which a run is not tested are assigned among themselves, so that every split leaves
    as many to test it on.
    """
    others = common_sources(samples, runs)
    first = [Rows(samples, run, wanted, keep_own, others) for run in runs]
    left_out = [
        tuple(source in own.without for own in first) for source in range(len(samples.sources))
    ]
    further = repeated_splits(samples, splits, left_out)[1:]
    return [
        [own, *(Rows(again, run, wanted, keep_own, own.without) for again in further)]
        for run, own in zip(runs, first, strict=True)
    ]


def _warn_of_different_tests(rows: Sequence[Sequence[Rows]]) -> None:
    if len({own.without for own, *_ in rows}) > 1:
        warnings.warn(
            "the runs are tested on different episodes, as each one's own and its donors' are left "
            "out: take a set to which none of them contributed, or keep all (`keep_own=True`)",
            stacklevel=3,
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
    variants: Variants,
) -> list[tuple[Where, Fit]]:
    """Every fit of a result with its place in it."""
    found = []
    for label, planner, frames in zip(labels, planners, chosen, strict=True):
        recipes = list(variants.recipes(min(planner.sizes[layer] for layer in layers)))
        found += [
            (
                {"run": label, "frame": frame, "layer": layer, **where},
                planner.fit(frame, layer, recipe),
            )
            for frame in frames
            for layer in layers
            for where, recipe in recipes
        ]
    return found


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
        own = [fit for fit in missing.values() if fit.network.run is planner.run]
        jobs += planner.jobs(own)
    logger.info("%d fits to make in %d jobs; %d asked for", len(missing), len(jobs), len(fits))
    made = run_jobs(jobs, n_jobs, parts)
    for _ in track(range(len(missing))):
        next(made)


def _assembled(
    coords: dict[str, Sequence[Any]],
    variants: Variants,
    n_episodes: int,
    scores: Sequence[tuple[Where, Scores]],
) -> xr.Dataset:
    """The result with every fit's scores at their place."""
    more = variants.coords
    if "split" in more:
        more |= {"bound": BOUNDS, "episode": range(n_episodes)}
    result = PROBE.blank({**coords, **more}, *variants.given)
    for where, values in scores:
        put_scores(result, where, values)
    compare_variants(result)
    return result


def _fill_splits(
    result: xr.Dataset,
    fits: Sequence[tuple[Where, Fit]],
    parts: Parts,
    rows: Sequence[Sequence[Rows]],
) -> None:
    """What a result says of its splits beside the scores on each, put in place."""
    shares = dict(zip(result["run"].values.tolist(), rows, strict=True))
    errors: dict[tuple[str, int, str], list[Floats]] = {}
    for where, fit in fits:
        if "split" in where:
            place = (where["run"], where["frame"], where["layer"])
            errors.setdefault(place, []).append(parts[fit.key]["episode_mse"])
    for (run, frame, layer), values in errors.items():
        found = mean_over_splits(values, shares[run])
        result["episode_test_mse"].loc[run, frame, layer] = found
    for label, own in shares.items():
        describe_splits(result.sel(run=label), own)


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
