"""Does a change help? Cohorts beside a first one: returns, good runs, and time in collapse."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import as_number, check_at_least, check_finite
from vrlprobe.analyses.shared.average import class_ends
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import BOUNDS
from vrlprobe.results.file import check_kind, check_named, provenance
from vrlprobe.results.schemas.compare import COMPARE, MEASURES
from vrlprobe.stats.bootstrap import bootstrap_interval, interquartile_mean, mean, wilson_interval
from vrlprobe.stats.comparison import (
    improvement,
    mean_difference,
    mean_p,
    permutation_p,
    share_difference,
    share_p,
    statistic_p,
)
from vrlprobe.stats.speed import area_under_curve, frames_to_threshold, median_frames

Floats = npt.NDArray[np.float64]

"""What is compared, one number a run."""
SHARES = ("good", "in_collapse")


@COMPARE.documented
def compare(
    cohorts: Mapping[str, xr.Dataset],
    *,
    frame: int | None = None,
    evaluations: int = 1,
    good: float | None = None,
    threshold: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Hold cohorts against the first one, task by task.

    Runs are paired where both cohorts have exactly the same seeds, and independent otherwise. What
    is in both cohorts, as the runs are that the reset rule leaves alone, needs pairs.

    Args:
        cohorts: results of `vrlprobe.analyses.cohort` by name.
        frame: at which they are compared; if None the last one at which all runs were evaluated.
        evaluations: how many, up to that frame, are averaged to a run's return.
        good: return from which a run is good; if None the one in all their settings.
        threshold: return whose first evaluation is counted; the one from which a run is good if
            None.
        seed: of the bootstrap, and of permutations where not all are taken.

    Returns:
        The variables below, for every other cohort and the tasks that it shares with the first.
        Bounds: estimate, low, high. Intervals are of 95%: of shares Wilson's and Newcombe's, of
        means from bootstrap samples of runs. p is from Wilcoxon's signed ranks and McNemar's exact
        test for pairs, Mann and Whitney's and Fisher's exact test otherwise; of `threshold_frames`
        and `interquartile_return` from a permutation test. Frames are restricted means of a
        censored time, as all runs are seen to the frame. Medians are Kaplan and Meier's, infinite
        where too few runs reach the threshold.

        {variables}

    Raises:
        FormatError: not cohorts by their names.
        SampleError: one cohort only, no task in common, no evaluation at the frame, one run in two
            cohorts that are no pairs, or runs that are good from different returns on.
        ValueError: less than one evaluation, a seed below 0, or a frame that is no number.
    """
    check_at_least(1, evaluations=evaluations)
    check_at_least(0, seed=seed)
    if threshold is not None:
        check_finite(threshold=threshold)
    if frame is not None and as_number(frame) is None:
        raise ValueError(f"frame must be a number, not {frame!r}")
    check_named(cohorts)
    for found in cohorts.values():
        check_kind(found, "cohort")
    if len(cohorts) < 2:
        raise SampleError("a comparison needs two cohorts")
    (first, base), *others = cohorts.items()
    tasks = sorted({task for _, found in others for task in _tasks(found)} & _tasks(base))
    if not tasks:
        raise SampleError(f"{first} has no task in common with {', '.join(n for n, _ in others)}")
    coords = {"task": tasks, "cohort": [name for name, _ in others]}
    result = COMPARE.blank({**coords, "measure": list(MEASURES), "bound": BOUNDS})
    settings = _Settings(frame, evaluations, good, threshold, seed)
    for task in tasks:
        for name, found in others:
            if task in _tasks(found):
                sides = _Side(first, _of_task(base, task)), _Side(name, _of_task(found, task))
                at = {"task": task, "cohort": name}
                for key, value in _compared(*sides, settings).items():
                    result[key].loc[at] = value
    return result.assign_attrs({**provenance("compare", vars(settings)), "first": first})


@dataclass(frozen=True)
class _Side:
    """The runs of a cohort that have a task."""

    name: str
    runs: xr.Dataset

    @property
    def seeds(self) -> list[int]:
        found: list[int] = self.runs["seed"].values.tolist()
        return found

    @property
    def checkpoints(self) -> npt.NDArray[np.object_]:
        """Digests of the runs' last checkpoints; empty in results of older versions."""
        blank = np.full(len(self.seeds), "", object)
        return self.runs["last_checkpoint"].values if "last_checkpoint" in self.runs else blank

    @property
    def evaluated(self) -> set[int]:
        """Frames at which all runs were evaluated."""
        return set(self.runs["episode_return"].dropna("frame")["frame"].values.tolist())

    def ends(self, good: float | None) -> set[float]:
        """The returns from which its runs are good: the one given, or those in their settings."""
        return {class_ends(self.runs, run, good, 0.0)[0] for run in self.runs["run"].values}

    def speed(self, frames: list[int], threshold: float) -> dict[str, Floats]:
        """By a measure's name: (n_runs,), from the evaluations at these frames."""
        curves = self.runs["episode_return"].sel(frame=frames).transpose("run", "frame").values
        needed, reached = frames_to_threshold(frames, curves, threshold)
        area = area_under_curve(frames, curves)
        return {
            "threshold_frames": needed,
            "reached": reached.astype(np.float64),
            "area_under_curve": area,
        }

    def measured(self, frames: list[int], good: float) -> dict[str, Floats]:
        """By a measure's name: (n_runs,), at the last of `frames`."""
        returns = self.runs["episode_return"].sel(frame=frames).mean("frame").values
        out = self.runs["out"].values
        unknown = np.isnan(out)
        if "read_from" in self.runs:  # before its first update no run is in collapse, or out of it
            unknown = unknown | (frames[-1] < self.runs["read_from"].values)
        return {
            "return": returns,
            "interquartile_return": returns,
            "good": (returns >= good).astype(np.float64),
            "in_collapse": np.where(unknown, np.nan, out > frames[-1]),
            "collapse_frames": np.where(unknown, np.nan, np.minimum(out, frames[-1])),
        }


def _tasks(found: xr.Dataset) -> set[str]:
    return set(found["task"].values.tolist())


def _of_task(found: xr.Dataset, task: str) -> xr.Dataset:
    return found.isel(run=np.flatnonzero(found["task"].values == task)).sortby("seed")


@dataclass(frozen=True)
class _Settings:
    """Arguments of `compare`."""

    frame: int | None
    evaluations: int
    good: float | None
    threshold: float | None
    seed: int


def _compared(base: _Side, other: _Side, settings: _Settings) -> dict[str, object]:
    """The values of `COMPARE` for one task and cohort."""
    paired = base.seeds == other.seeds and len(set(base.seeds)) == len(base.seeds)
    if not paired:
        _check_independent(base, other)
    frames = _frames(base, other, settings.frame, settings.evaluations)
    good = _good(base, other, settings.good)
    threshold = good if settings.threshold is None else settings.threshold
    common = [frame for frame in base.evaluated & other.evaluated if frame <= frames[-1]]
    first, second = (
        side.measured(frames, good) | side.speed(sorted(common), threshold)
        for side in (base, other)
    )
    rows = [_row(name, first[name], second[name], paired, settings.seed) for name in MEASURES]
    values = np.stack([row for row, _ in rows], axis=1)
    returns = first["return"], second["return"]
    return {
        **dict(zip(("base", "other", "difference"), values, strict=True)),
        "p": [p for _, p in rows],
        "improvement": list(improvement(*returns, paired, seed=settings.seed)),
        "base_median_frames": list(median_frames(first["threshold_frames"], first["reached"])),
        "other_median_frames": list(median_frames(second["threshold_frames"], second["reached"])),
        "threshold": threshold,
        "n_base": len(base.seeds),
        "n_other": len(other.seeds),
        "paired": paired,
        "frame": frames[-1],
    }


def _row(name: str, base: Floats, other: Floats, paired: bool, seed: int) -> tuple[Floats, float]:
    """Base, other and difference of a measure, (3, bound), and p."""
    if np.isnan(np.concatenate([base, other])).any():
        return np.full((3, len(BOUNDS)), np.nan), float("nan")
    if name in SHARES:
        ends = [_share(base), _share(other), share_difference(base, other, paired)]
        return np.array(ends), share_p(base, other, paired)
    statistic = interquartile_mean if name == "interquartile_return" else mean
    ends = [
        (statistic(side), *bootstrap_interval(side, statistic, seed=seed)) for side in (base, other)
    ]
    ends.append(mean_difference(base, other, paired, statistic=statistic, seed=seed))
    return np.array(ends), _p(name, base, other, paired, seed)


def _p(name: str, base: Floats, other: Floats, paired: bool, seed: int) -> float:
    """Two-sided p of a measure that is no share."""
    if name == "interquartile_return":
        return statistic_p(base, other, paired, interquartile_mean, seed=seed)
    if name == "threshold_frames":
        return float(permutation_p(base, other, paired, seed=seed))
    return mean_p(base, other, paired)


def _good(base: _Side, other: _Side, good: float | None) -> float:
    """The return from which a run of either side is good; SampleError where it is not one."""
    if len(found := base.ends(good) | other.ends(good)) > 1:
        told = ", ".join(f"{value:g}" for value in sorted(found))
        raise SampleError(
            f"the runs of {base.name} and {other.name} are good from different returns on ({told}):"
            " give one for both (`good`)"
        )
    return found.pop()


def _share(values: Floats) -> tuple[float, float, float]:
    count = int(values.sum())
    return count / len(values), *wilson_interval(count, len(values))


def _frames(base: _Side, other: _Side, frame: int | None, evaluations: int) -> list[int]:
    """The evaluations that are compared, the last of them the frame."""
    common = sorted(base.evaluated & other.evaluated)
    if not common:
        raise SampleError(f"the runs of {base.name} and {other.name} share no evaluated frame")
    if frame is not None and frame not in common:
        near = min(common, key=lambda there: abs(there - frame))
        raise SampleError(
            f"not all runs of {base.name} and {other.name} were evaluated at frame {frame}: the "
            f"nearest that all have is {near}"
        )
    end = common.index(frame if frame is not None else common[-1]) + 1
    if evaluations > end:
        raise SampleError(f"{evaluations} evaluations are asked for, up to the frame are {end}")
    return common[end - evaluations : end]


def _check_independent(base: _Side, other: _Side) -> None:
    """Raise SampleError for a run that is in both.

    It has the same last checkpoint, or, where one of two ends earlier, the same returns; records
    keep six digits of them, and returns that never change are no one's own.
    """
    if not (both := sorted(base.evaluated & other.evaluated)):
        return
    sides = [side.runs["episode_return"].sel(frame=both).values for side in (base, other)]
    for seed, returns, digest in zip(base.seeds, sides[0], base.checkpoints, strict=True):
        same = np.isclose(sides[1], returns, rtol=1e-5, atol=0).all(axis=1) & bool(np.ptp(returns))
        same |= (other.checkpoints == digest) & (digest != "")
        if (same & (np.array(other.seeds) == seed)).any():
            raise SampleError(
                f"seed {seed} is the same run in {base.name} and {other.name}: compare cohorts of "
                "exactly the same seeds, or of different runs"
            )
