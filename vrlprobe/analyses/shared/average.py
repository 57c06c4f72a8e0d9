"""Results of several runs averaged: by class of agents, or over the runs of a cohort."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from vrlprobe._checks import check_finite
from vrlprobe.errors import SampleError
from vrlprobe.results.file import at_frame, last_checkpoint
from vrlprobe.stats.bootstrap import mean_interval, percentiles
from vrlprobe.stats.classes import CLASSES, classify


def run_classes(
    result: xr.Dataset, good: float | None = None, bad: float | None = None
) -> dict[str, str]:
    """By run: good, middle or bad, by its return at the end, see `final_returns`.

    Args:
        result: what `probe` returns.
        good, bad: returns from which a run is good and up to which it is bad; each run's own
            profile's if None.

    Raises:
        SampleError: no thresholds, or a run without a return.
    """
    found = {}
    for run, value in final_returns(result).items():
        ends = class_ends(result, run, good, bad)
        try:
            found[run] = classify(value, *ends)
        except ValueError as error:
            raise SampleError(f"{run}: {error}") from error
    return {run: str(name) for run, name in found.items()}


def final_returns(result: xr.Dataset) -> dict[str, float]:
    """By run: its return at the end; of an older result, at the last frame that this has of it.

    NaN where there is none.
    """
    runs = result["run"].values.tolist()
    if "final_return" in result:
        return dict(zip(runs, result["final_return"].values.tolist(), strict=True))
    known = {run: result["episode_return"].sel(run=run).dropna("frame").values for run in runs}
    return {run: float(values[-1]) if len(values) else np.nan for run, values in known.items()}


def class_ends(
    result: xr.Dataset, run: str, good: float | None = None, bad: float | None = None
) -> tuple[float, float]:
    """The returns from which a run of a result is good and up to which it is bad.

    Raises:
        SampleError: neither given nor in the result, or no numbers.
    """
    config = json.loads(result.attrs.get("configs", "{}")).get(run, {})
    ends = [config.get("good_return"), config.get("bad_return")]
    upper, lower = (e if g is None else g for g, e in zip((good, bad), ends, strict=True))
    if upper is None or lower is None:
        raise SampleError(
            f"the result does not say from which return {run} is good and up to which it is "
            "bad: give both (`good`, `bad`)"
        )
    try:
        check_finite(good=upper, bad=lower)
    except ValueError as error:
        raise SampleError(f"{run}: {error}") from error
    return upper, lower


def by_class(
    result: xr.Dataset,
    components: Sequence[str] | None = None,
    *,
    good: float | None = None,
    bad: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """The probes' test errors averaged over each class of agents (paper, Figure 2).

    Args:
        result: what `probe` returns.
        components: which; all if None.
        good, bad: see `run_classes`.
        seed: of the bootstrap.

    Returns:
        Dims (class, frame, layer, component): `test_mse`, the mean over runs, and its 95% bootstrap
        interval `low`, `high`; NaN at frames that not every run of the class has. Dims
        (class, component): `mean_mse`. Dims (class,): `n_runs`. Classes without a run are not
        there. The attribute `n_runs` counts all runs.

    Raises:
        SampleError: see `run_classes`; or the runs of a class share no frame.
    """
    members = _members(result, good, bad)
    names = result["component"].values if components is None else list(components)
    parts = [
        _class_mean(name, result.sel(run=runs, component=names), seed)
        for name, runs in members.items()
    ]
    found: xr.Dataset = xr.concat(parts, "class", data_vars="all", combine_attrs="drop")
    return found.assign_coords({"class": list(members)}).assign_attrs(
        {**result.attrs, "vrlprobe": "classes", "n_runs": result.sizes["run"]}
    )


def _members(result: xr.Dataset, good: float | None, bad: float | None) -> dict[str, list[str]]:
    """The runs of each class that has any, good first; raises as `run_classes`."""
    classes = run_classes(result, good, bad)
    there = [name for name in CLASSES if name in classes.values()]
    return {name: [run for run, its in classes.items() if its == name] for name in there}


def of_class(
    result: xr.Dataset, only: str, good: float | None = None, bad: float | None = None
) -> xr.Dataset:
    """The runs of one class of agents.

    Args:
        result: what `probe` returns.
        only: good, middle or bad.
        good, bad: see `run_classes`.

    Raises:
        SampleError: see `run_classes`; or no run is of this class.
    """
    members = _members(result, good, bad)
    if only not in members:
        returned = ", ".join(f"{run} {value:.0f}" for run, value in final_returns(result).items())
        raise SampleError(f"no run is {only}; they return: {returned}")
    return result.sel(run=members[only])


def ends_by_class(
    result: xr.Dataset,
    good: float | None = None,
    bad: float | None = None,
    frame: int | None = None,
) -> xr.Dataset:
    """What the probes of each class of agents find at their runs' last frames, or at one frame.

    Args:
        result: what `probe` returns.
        good, bad: see `run_classes`.
        frame: which every run must have; the classes are by the return at the end all the same.

    Returns:
        Dims (class, layer, component): `test_r2` and `sparsity`, medians over the runs: a probe
        that fails on the test episodes of one run has an R² far below 0, which a mean would show
        of all. Dims (class,): `n_runs`. Classes without a run are not there.

    Raises:
        SampleError: see `run_classes`; or no such frame.
    """
    members = _members(result, good, bad)
    there = result if frame is None else at_frame(result, frame)
    parts = []
    for runs in members.values():
        ends = [last_checkpoint(there, run)[["test_r2", "sparsity"]] for run in runs]
        stacked = xr.concat([end.reset_coords(drop=True) for end in ends], "run")
        parts.append(stacked.median("run").assign(n_runs=len(runs)))
    found: xr.Dataset = xr.concat(parts, "class", combine_attrs="drop")
    return found.assign_coords({"class": list(members)}).assign_attrs(
        {**result.attrs, "vrlprobe": "ends", "n_runs": result.sizes["run"]}
    )


def _class_mean(name: str, part: xr.Dataset, seed: int) -> xr.Dataset:
    """The mean and its interval at the frames that all runs of a class have."""
    shared = (part["checkpoint"] != "").all("run")
    if not shared.any():
        raise SampleError(
            f"the {name} runs {', '.join(part['run'].values)} were probed at no common frame: "
            "probe them at the same frames"
        )
    dims = ("frame", "layer", "component")
    errors = part["test_mse"].where(shared).transpose("run", *dims)
    values = mean_interval(errors.values, seed=seed)
    average = {
        key: (dims, value) for key, value in zip(("test_mse", "low", "high"), values, strict=True)
    }
    return xr.Dataset(average, {dim: errors[dim].values for dim in dims}).assign(
        mean_mse=part["mean_mse"].mean("run"), n_runs=part.sizes["run"]
    )


def returns(cohorts: Mapping[str, xr.Dataset], seed: int = 0) -> xr.Dataset:
    """Returns over training of several cohorts, task by task (paper, Figure 5).

    Args:
        cohorts: results of `vrlprobe.analyses.cohort` by name.
        seed: of the bootstrap.

    Returns:
        Dims (cohort, task, frame): `mean`, with its 95% bootstrap interval `mean_low`, `mean_high`;
        `percentile_5`, `percentile_95` over runs. Dims (cohort, task): `n_runs`. NaN at frames at
        which not every run of a cohort was evaluated: another set of runs has another mean.

    Raises:
        SampleError: a cohort whose runs of a task share no frame.
    """
    tasks = sorted({task for found in cohorts.values() for task in found["task"].values})
    stacked = [
        _stack([_returns_of(name, found, task, seed) for task in tasks], "task", tasks)
        for name, found in cohorts.items()
    ]
    return _stack(stacked, "cohort", list(cohorts))


def _stack(parts: Sequence[xr.Dataset], dim: str, labels: Sequence[str]) -> xr.Dataset:
    whole: xr.Dataset = xr.concat(
        parts, dim, join="outer", data_vars="all", combine_attrs="drop", fill_value=np.nan
    )
    return whole.assign_coords({dim: list(labels)}).sortby("frame")


def _returns_of(name: str, found: xr.Dataset, task: str, seed: int) -> xr.Dataset:
    runs = found["episode_return"].isel(run=np.flatnonzero(found["task"].values == task))
    curves = runs.transpose("run", "frame").dropna("frame")
    if runs.sizes["run"] and not curves.sizes["frame"]:
        raise SampleError(
            f"the runs of {task} in {name} were evaluated at no common frame: compare runs of "
            "one setting"
        )
    if not runs.sizes["run"]:
        curves = curves.isel(frame=[])
    mean, low, high = mean_interval(curves.values, seed=seed) if curves.size else [[]] * 3
    bands = np.array([percentiles(column) for column in curves.values.T]).reshape(-1, 2)
    columns = {"mean": mean, "mean_low": low, "mean_high": high}
    columns |= {"percentile_5": bands[:, 0], "percentile_95": bands[:, 1]}
    return xr.Dataset(
        {key: ("frame", np.asarray(value, float)) for key, value in columns.items()},
        {"frame": curves["frame"].values},
    ).assign(n_runs=runs.sizes["run"])
