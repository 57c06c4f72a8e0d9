"""Whether what a probe finds in a network tells how its training will end (paper, section 4.2)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats

from vrlprobe._checks import check_at_least
from vrlprobe.analyses._cohort import run_class
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import BOUNDS, Variables, blank, run_attributes
from vrlprobe.results.file import check_kind, last_checkpoint
from vrlprobe.runs.collection import Logged, logged_list, refuse_twice
from vrlprobe.runs.reader import Run
from vrlprobe.runs.record import Record
from vrlprobe.stats.bootstrap import draws_interval

Floats = npt.NDArray[np.float64]
MEASURES = ("success", "return")
RESAMPLES = 2000
BLOCK = 200
"""Draws that are held ranked at a time."""
MEAN = "mean"
"""The component that stands for the mean over all of them."""
FEWEST_INITS = 3
"""Inits that a rank correlation needs to be more than a sign."""

VARIABLES: Variables = {
    "error": (("init", "layer", "component"), np.nan, "test_mse / variance before the training"),
    "outcome": (("init", "measure"), np.nan, "share of good runs; mean final return"),
    "runs": (("init",), 0, "trainings from this init"),
    "correlation": (
        ("layer", "component", "measure", "bound"), np.nan,
        "Spearman's rank correlation of error and outcome over inits, 95% bootstrap interval",
    ),
    "p": (
        ("layer", "component", "measure"), np.nan,
        "share of permutations of the inits with a correlation at least as far from 0",
    ),
}  # fmt: skip


def predict(
    probed: xr.Dataset,
    runs: Logged,
    *,
    good: float | None = None,
    bad: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Correlate each init's probe error before the training with its success after it.

    Args:
        probed: result of `vrlprobe.analyses.probe` on the inits.
        runs: trainings from them, or their records; found by the digest of their init.
        good, bad: thresholds of success; each run's own profile's if None.
        seed: of the bootstrap and of the permutations.

    Returns:
        Dims (init, layer, component): `error`, the share of the variance that the probe misses; the
        component `mean` is the mean over all. Dims (init, measure): `outcome`, the share of good
        runs and the mean final return. Dims (init,): `runs`, their number. Dims (layer, component,
        measure): `correlation` with bounds, and `p`. Inits, and runs within each, are drawn with
        replacement for the interval (`vrlprobe.stats.bootstrap.draws_interval`; NaN ends for fewer
        than `vrlprobe.stats.bootstrap.FEWEST` inits, which make few different resamples), and both
        take inits as independent, which cells of a grid that share a part are not; `p` is not
        corrected for the number of layers and components. Where all errors or all outcomes are
        equal, there is no
        correlation: NaN.

    Raises:
        FormatError: something else than a result of probe.
        SampleError: fewer than three inits with runs.
        ValueError: a seed below 0.
    """
    check_at_least(0, seed=seed)
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
    result = blank(
        {
            "init": labels,
            "layer": probed["layer"].values.tolist(),
            "component": components,
            "measure": MEASURES,
            "bound": BOUNDS,
        },
        VARIABLES,
    )
    errors = np.stack([1 - part["test_r2"].sel(component=components[:-1]).values for part in there])
    result["error"][:] = np.concatenate([errors, errors.mean(axis=2, keepdims=True)], axis=2)
    ends = [_outcome(run, good, bad) for run in runs]
    each = [np.array([ends[at] for at in members[label].tolist()]) for label in labels]
    result["outcome"][:] = np.stack([values.mean(axis=0) for values in each])
    result["runs"][:] = [len(values) for values in each]
    _correlate(result, each, seed)
    arguments = {"good": good, "bad": bad, "seed": seed}
    samples = {"samples": probed.attrs.get("samples", "")}
    return result.assign_attrs({**run_attributes("predict", runs, arguments), **samples})


def _varies(parts: Sequence[xr.Dataset], component: str) -> bool:
    """Whether a component has an R² everywhere: a constant one has none."""
    return all(np.isfinite(part["test_r2"].sel(component=component)).all() for part in parts)


def _outcome(run: "Run | Record", good: float | None, bad: float | None) -> list[float]:
    """Success, 0 or 1, and final return of a run."""
    final = float(run.returns[-1])
    return [float(run_class(run, final, good, bad) == "good"), final]


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


def rank_correlations(left: Floats, right: Floats) -> Floats:
    """Spearman's correlation of every column of one with every column of the other.

    Args:
        left, right: (..., n, k) and (..., n, m).

    Returns:
        (..., k, m), NaN for constant columns; ties have their mean rank.
    """
    a: Floats = _standard(stats.rankdata(left, axis=-2))
    b: Floats = _standard(stats.rankdata(right, axis=-2))
    products: Floats = np.swapaxes(a, -1, -2) @ b
    return products


def _standard(ranks: Floats) -> Floats:
    """Columns centred and of unit norm; NaN for constant ones."""
    centred = ranks - ranks.mean(axis=-2, keepdims=True)
    norms = np.linalg.norm(centred, axis=-2, keepdims=True)
    unit: Floats = np.divide(centred, norms, out=np.full_like(centred, np.nan), where=norms > 0)
    return unit
