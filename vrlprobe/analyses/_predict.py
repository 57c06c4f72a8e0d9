"""Whether what a probe finds in a network tells how its training will end (paper, section 4.2)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import check_at_least, check_finite
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import BOUNDS, all_frames, run_attributes
from vrlprobe.results.file import check_kind, last_checkpoint
from vrlprobe.results.schemas.predict import MEASURES, PREDICT
from vrlprobe.runs.collection import Logged, logged_list, refuse_twice
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.settings import number
from vrlprobe.samples.classes import run_class
from vrlprobe.stats.bootstrap import draws_interval
from vrlprobe.stats.correlation import rank_correlations
from vrlprobe.stats.speed import area_under_curve, frames_to_threshold, median_frames

Floats = npt.NDArray[np.float64]
"""What a training comes to, one number a run."""
RESAMPLES = 2000
BLOCK = 200
"""Draws that are held ranked at a time."""
MEAN = "mean"
"""The component that stands for the mean over all of them."""
FEWEST_INITS = 3
"""Inits that a rank correlation needs to be more than a sign."""


@PREDICT.documented
def predict(
    probed: xr.Dataset,
    runs: Logged,
    *,
    good: float | None = None,
    bad: float | None = None,
    threshold: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Correlate each init's probe error before the training with its success after it.

    Args:
        probed: result of `vrlprobe.analyses.probe` on the inits.
        runs: trainings from them, or their records; found by the digest of their init.
        good, bad: thresholds of success; each run's own profile's if None.
        threshold: return whose first evaluation is counted; the one from which a run is good if
            None.
        seed: of the bootstrap and of the permutations.

    Returns:
        The variables below; the component `mean` is the mean over all. Inits, and runs within
        each, are drawn with replacement for the interval
        (`vrlprobe.stats.bootstrap.draws_interval`; NaN ends for fewer than
        `vrlprobe.stats.bootstrap.FEWEST` inits, which make few different resamples), and both take
        inits as independent, which cells of a grid that share a part are not; `p` is not corrected
        for the number of layers and components. Where all errors or all outcomes are equal, or an
        outcome is not known, there is no correlation: NaN.

        {variables}

    Raises:
        FormatError: something else than a result of probe.
        SampleError: fewer than three inits with runs.
        ValueError: a seed below 0.
    """
    check_at_least(0, seed=seed)
    if threshold is not None:
        check_finite(threshold=threshold)
    check_kind(probed, "probe")
    runs = logged_list(runs)
    refuse_twice(runs)
    digests = [str(run.config.get("init_digest", "")) for run in runs]
    parts = [last_checkpoint(probed, label) for label in probed["run"].values.tolist()]
    members = {
        str(part["run"].item()): np.flatnonzero(np.array(digests) == part["checkpoint"].item())
        for part in parts
    }
    there = [part for part in parts if len(members[part["run"].item()])]
    if len(there) < FEWEST_INITS:
        raise SampleError(
            f"{len(there)} of the {len(parts)} probed inits have runs among those given, at least "
            f"{FEWEST_INITS} are needed (a run knows its init when it began with `vrltrain run "
            "--init`)"
        )
    labels = [str(part["run"].item()) for part in there]
    components = [*(c for c in probed["component"].values.tolist() if _varies(there, c)), MEAN]
    result = PREDICT.blank(
        {
            "init": labels,
            "layer": probed["layer"].values.tolist(),
            "component": components,
            "measure": list(MEASURES),
            "bound": BOUNDS,
        }
    )
    errors = np.stack([1 - part["test_r2"].sel(component=components[:-1]).values for part in there])
    result["error"][:] = np.concatenate([errors, errors.mean(axis=2, keepdims=True)], axis=2)
    chosen = [runs[at] for label in labels for at in members[label].tolist()]
    speeds = _speeds(chosen, good if threshold is None else threshold)
    ends = np.column_stack([[_outcome(run, good, bad) for run in chosen], *speeds[:2]])
    owner = np.repeat(np.arange(len(labels)), [len(members[label]) for label in labels])
    each = [ends[owner == init] for init in range(len(labels))]
    result["outcome"][:] = np.stack([values.mean(axis=0) for values in each])
    for init in range(len(labels)):
        rows = owner == init
        result["median_frames"][init] = list(median_frames(speeds[0][rows], speeds[2][rows]))
    result["runs"][:] = [len(values) for values in each]
    _correlate(result, each, seed)
    arguments = {"good": good, "bad": bad, "threshold": threshold, "seed": seed}
    samples = {"samples": probed.attrs.get("samples", "")}
    return result.assign_attrs({**run_attributes("predict", runs, arguments), **samples})


def _varies(parts: Sequence[xr.Dataset], component: str) -> bool:
    """Whether a component has an R² everywhere: a constant one has none."""
    return all(np.isfinite(part["test_r2"].sel(component=component)).all() for part in parts)


def _outcome(run: LoggedRun, good: float | None, bad: float | None) -> list[float]:
    """Success, 0 or 1, final return, and gain of a run."""
    final = float(run.returns[-1])
    first = float(run.returns[0]) if run.frames[0] == 0 else np.nan
    return [float(run_class(run, final, good, bad) == "good"), final, final - first]


def _speeds(
    runs: Sequence[LoggedRun], threshold: float | None
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Frames to the threshold, area under the curve, and whether it is reached, each (n_runs,).

    To the frame to which all runs are evaluated.
    """
    until = min(int(run.frames[-1]) for run in runs)
    frames = all_frames(
        [[frame for frame in run.frames.tolist() if frame <= until] for run in runs]
    )
    curves = np.full((len(runs), len(frames)), np.nan)
    for row, run in zip(curves, runs, strict=True):
        seen = run.frames <= until
        row[np.searchsorted(frames, run.frames[seen])] = run.returns[seen]
    ends = [number(run, "good_return") if threshold is None else threshold for run in runs]
    needed, reached = frames_to_threshold(frames, curves, np.array(ends, np.float64))
    return needed, area_under_curve(frames, curves), reached


def _correlate(result: xr.Dataset, each: Sequence[Floats], seed: int) -> None:
    """Fill in the correlations of every layer and component with every outcome."""
    errors, outcomes = result["error"].values, result["outcome"].values
    count = len(errors)
    flat = errors.reshape(count, -1)
    rng = np.random.default_rng(seed)
    inits = np.empty((RESAMPLES, count), np.int64)
    order = np.empty_like(inits)
    drawn = np.empty((RESAMPLES, count, len(MEASURES)))
    for at in range(RESAMPLES):
        inits[at] = rng.integers(count, size=count)
        for place, init in enumerate(inits[at]):
            ends = each[init]
            drawn[at, place] = ends[rng.integers(len(ends), size=len(ends))].mean(0)
        order[at] = rng.permutation(count)
    draws, chance = np.empty((2, RESAMPLES, flat.shape[1], len(MEASURES)))
    for first in range(0, RESAMPLES, BLOCK):
        block = slice(first, first + BLOCK)
        draws[block] = rank_correlations(flat[inits[block]], drawn[block])
        chance[block] = rank_correlations(flat, outcomes[order[block]])
    estimate = rank_correlations(flat, outcomes)
    shape = (*errors.shape[1:], len(MEASURES))
    with np.errstate(invalid="ignore"):
        extreme = np.abs(chance) >= np.abs(estimate) - 1e-12
    p = (1 + extreme.sum(axis=0)) / (1 + RESAMPLES)
    known = np.isfinite(estimate)
    interval = np.full((2, *estimate.shape), np.nan)
    interval[:, known] = draws_interval(draws[:, known], count)
    bounds = np.stack([estimate, *interval], axis=-1)
    result["correlation"][:] = bounds.reshape(*shape, len(BOUNDS))
    result["p"][:] = np.where(known, p, np.nan).reshape(shape)
