"""Wait or start again? How long attempts stay in collapse, and what a run in it may expect."""

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import check_at_least
from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.collapse.measurements import (
    Measurements,
    attempt_begins,
    attempt_phases,
    measurements,
)
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import BOUNDS, Variables, blank, run_attributes, shared
from vrlprobe.runs.collection import Logged, logged_list, refuse_twice
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.settings import last_due, whole
from vrlprobe.samples.selection import run_labels
from vrlprobe.stats.bootstrap import FEWEST
from vrlprobe.stats.survival import RESAMPLES, Curve, bounds, resampled

if TYPE_CHECKING:
    pass

Floats = npt.NDArray[np.float64]

PER_ATTEMPT: Variables = {
    "run": (("attempt",), "", "whose attempt it is"),
    "number": (("attempt",), 1, "which of the run's"),
    "duration": (
        ("attempt",), 0,
        "frames from its begin until it is out of collapse, or to its last measurement"
    ),
    "out": (("attempt",), False, "whether it is out, and stays so"),
    "entered": (("attempt",), False, "whether it was ever in collapse"),
}  # fmt: skip
PER_FRAME: Variables = {
    "in_collapse": (("bound", "frame"), np.nan, "share of attempts still in collapse"),
    "at_risk": (("frame",), 0, "attempts seen in collapse until then"),
    "frames_per_escape": (
        ("bound", "frame"), np.nan, "mean frames until one comes out, each given up at this frame"
    ),
}  # fmt: skip
PER_RUN: Variables = {
    "waited": (("waiting",), 0, "frames of its attempt, all but the first in collapse"),
    "left": (("waiting",), 0, "frames that the run has to go"),
    "longer": (("waiting",), 0, "attempts seen for longer than it has waited"),
    "out_waiting": (
        ("bound", "waiting"), np.nan,
        "chance to come out by the run's end; unknown where no attempt was seen for longer",
    ),
    "out_again": (("bound", "waiting"), np.nan, "the same for a new attempt in the frames left"),
    "frames_waiting": (("bound", "waiting"), np.nan, "mean frames left after coming out"),
    "frames_again": (("bound", "waiting"), np.nan, "the same for a new attempt"),
    "again_better": (
        ("waiting",), np.nan, "share of bootstrap samples in which a new attempt has more of them"
    ),
    "waiting_better": (("waiting",), np.nan, "share in which waiting has"),
}  # fmt: skip
FREE = (
    *("seed", "total_frames", "eval_every_frames", "eval_episodes", "final_episodes", "images"),
    *("init_digest", "device", "threads", "norm_batch_size", "good_return", "bad_return"),
)
"""Settings that attempts taken as alike may differ in."""
CHANCES = ("out_waiting", "frames_waiting", "out_again", "frames_again")


@dataclass(frozen=True)
class _Attempt:
    """An attempt of the run at a place, see `PER_ATTEMPT`."""

    place: int
    number: int
    duration: int
    out: bool
    entered: bool
    collapsed: bool
    """Whether it stood in collapse when it was last seen."""


def survival(runs: Logged, *, seed: int = 0) -> xr.Dataset:
    """Learn from runs how long collapse lasts, when to give up, and what those in it may expect.

    Every attempt counts from its start until it is seen out of collapse for good (by the spread of
    actions, see `vrlprobe.collapse.phases.phases`), one never in it until its first measurement;
    one that is reset, ends in collapse or is in it now counts as not out until then. Attempts are
    assumed alike: of one task and the same settings.

    Args:
        runs: runs or records of one task, with or without the reset rule, finished or not.
        seed: of the bootstrap over runs.

    Returns:
        Dims (attempt,): `run`, `number` (which of the run's), `duration` from its start until it is
        out, or to its last measurement, `out`, whether it is, `entered`, whether it was ever in
        collapse. Dims (bound, frame): `in_collapse`, the share of attempts still in it,
        `frames_per_escape`, the mean frames until one comes out if each is given up at this frame;
        (frame,): `at_risk`, attempts seen in collapse until then; at the frames of an attempt at
        which one came out or was last seen, and at the windows of the runs' reset rules. Of the
        runs that have frames left and stand in collapse, dims (waiting,): `waited`, `left`,
        `longer`, the attempts seen for longer; (bound, waiting): `out_waiting`, the chance to come
        out by the run's end, `out_again`, that of a new attempt, `frames_waiting`, `frames_again`,
        the mean frames left after it; (waiting,): `again_better`, `waiting_better`, the share of
        bootstrap samples in which either has more of them. `cutoff` (bound,): the frame of an
        attempt at which giving it up makes the fewest frames per escape, the first of equally good
        ones; what it costs is the least of many estimates, and so too little by what luck adds.
        Intervals are of 95%, Greenwood's over attempts for `in_collapse`, else from bootstrap
        samples of runs (`vrlprobe.stats.bootstrap.expanded_tail`), without those in which no
        attempt was seen for longer than one has waited, for `cutoff` without those in which none
        came out; NaN for fewer than `vrlprobe.stats.bootstrap.FEWEST` runs.

    Raises:
        SampleError: several tasks, fewer than two attempts with measurements, or none out.
        ValueError: a seed below 0.
    """
    check_at_least(0, seed=seed)
    runs = logged_list(runs)
    refuse_twice(runs)
    shared([run.config.get("task") for run in runs], runs, "task", "a survival curve")
    logs = [measurements(run) for run in runs]
    attempts = [item for place, log in enumerate(logs) for item in _attempts(place, log)]
    _check_out(attempts)
    durations = np.array([item.duration for item in attempts])
    windows = [whole(run, "rule_window") for run in runs]
    frames = np.unique([*durations, *(w for w in windows if 0 < w <= durations.max())])
    if differing := _unlike(runs):
        warnings.warn(
            f"runs of different {', '.join(differing)} are taken as alike",
            UserWarning,
            stacklevel=2,
        )
    waiting = list(_waiting(runs, logs, attempts))
    labels = run_labels(runs)
    coords = {
        "attempt": range(len(attempts)), "frame": frames.tolist(), "bound": BOUNDS,
        "waiting": np.array([labels[item.place] for item, _ in waiting], str),
    }  # fmt: skip
    found = blank(coords, {**PER_ATTEMPT, **PER_FRAME, **PER_RUN})
    _describe(found, attempts, waiting, labels)
    curve = Curve(durations, found["out"].values)
    found["in_collapse"][:] = [curve.share(frames), *curve.interval(frames)]
    _estimate(found, curve, seed)
    return found.assign_attrs(run_attributes("outlook", runs, {"seed": seed}))


def _check_out(attempts: Sequence[_Attempt]) -> None:
    """Raise SampleError where there is nothing to learn from."""
    count = sum(item.out for item in attempts)
    if len(attempts) < 2 or not count:
        raise SampleError(
            f"{count} of {len(attempts)} attempts with measurements are out of collapse: at "
            "least two attempts are needed, one of them out"
        )


def _describe(
    found: xr.Dataset,
    attempts: Sequence[_Attempt],
    waiting: Sequence[tuple[_Attempt, int]],
    labels: Sequence[str],
) -> None:
    """Fill in what is seen of the attempts, and of the runs that wait."""
    found["run"][:] = [labels[item.place] for item in attempts]
    found["number"][:] = [item.number for item in attempts]
    found["duration"][:] = durations = np.array([item.duration for item in attempts])
    found["out"][:] = [item.out for item in attempts]
    found["entered"][:] = [item.entered for item in attempts]
    found["at_risk"][:] = [(durations >= frame).sum() for frame in found["frame"].values]
    found["waited"][:] = [item.duration for item, _ in waiting]
    found["left"][:] = [left for _, left in waiting]
    found["longer"][:] = [(durations > item.duration).sum() for item, _ in waiting]


def _unlike(runs: "Sequence[LoggedRun]") -> list[str]:
    """Settings in which runs differ, beside seed, length, and what is done to one in collapse."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.config.items():
            if name not in FREE and not name.startswith(("reset_", "rule_")):
                values.setdefault(name, set()).add(json.dumps(value))
    return sorted(name for name, found in values.items() if len(found) > 1)


def _attempts(place: int, whole: Measurements) -> Iterator[_Attempt]:
    """A run's attempts that have measurements."""
    begins = attempt_begins(whole)
    for number, (frames, found) in attempt_phases(whole).items():
        if not len(frames):
            continue
        last = int(frames[-1])
        spread = whole.values[ACTION_STD.name][np.flatnonzero(whole.frames == last)[0]]
        collapsed = found[-1].collapsed if found else not ACTION_STD.healthy(spread)
        out = bool(found) and not collapsed
        entered = bool(collapsed) or any(phase.collapsed for phase in found)
        until = found[-1].first if out else last
        yield _Attempt(place, number, until - begins[number], out, entered, bool(collapsed))


def _waiting(
    runs: "Sequence[LoggedRun]", logs: Sequence[Measurements], attempts: Sequence[_Attempt]
) -> Iterator[tuple[_Attempt, int]]:
    """The attempts that runs are at now, in collapse, with the frames until the run's end.

    None of a run that has begun another one since, of which there is no measurement yet.
    """
    for item in attempts:
        run, due = runs[item.place], last_due(runs[item.place])
        if not item.collapsed or item.number != logs[item.place].attempts[-1] or due is None:
            continue
        if due > run.frames[-1]:
            yield item, due - int(run.frames[-1])


def _estimate(found: xr.Dataset, curve: Curve, seed: int) -> None:
    """Fill in what follows from the curve, with intervals over bootstrap samples of runs."""
    frames = found["frame"].values
    waits = list(zip(found["waited"].values.tolist(), found["left"].values.tolist(), strict=True))

    def statistic(curve: Curve) -> Floats:
        chances = [
            (*curve.escape_within(*wait), *curve.escape_within(0, wait[1])) for wait in waits
        ]
        costs = curve.frames_per_escape(frames)
        best = frames[np.argmin(costs)] if np.isfinite(costs).any() else np.nan
        return np.concatenate([costs, [best], *chances])

    owners = found["run"].values
    runs = len(set(owners.tolist()))
    several = runs >= FEWEST
    draws = resampled(
        found["duration"].values, found["out"].values, owners, statistic, seed=seed,
        resamples=RESAMPLES if several else 0,
    )  # fmt: skip
    estimate = statistic(curve)
    ends = bounds(draws, runs) if several else np.full((2, len(estimate)), np.nan)
    table = np.stack([estimate, *ends])
    costs, cutoff, chances = np.split(table, [len(frames), len(frames) + 1], axis=1)
    found["frames_per_escape"][:] = costs
    found["cutoff"] = ("bound", cutoff[:, 0], {"long_name": "frame at which to give an attempt up"})
    for at, name in enumerate(CHANCES):
        found[name][:] = chances[:, at :: len(CHANCES)]
    if several:
        _hold_against(found, draws[:, len(frames) + 1 :].reshape(len(draws), -1, len(CHANCES)))


def _hold_against(found: xr.Dataset, drawn: Floats) -> None:
    """Fill in how often waiting or a new attempt is better in `drawn` (sample, run, `CHANCES`)."""
    again, wait = (drawn[..., CHANCES.index(f"frames_{name}")] for name in ("again", "waiting"))
    gain = again - wait
    known = np.isfinite(gain).sum(axis=0)
    for name, better in (("again_better", gain > 0), ("waiting_better", gain < 0)):
        found[name][known > 0] = better.sum(axis=0)[known > 0] / known[known > 0]
