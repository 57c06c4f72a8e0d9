"""What a run's log says of its checkpoints, one value each, and the stages that follow from it."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe import metrics as measure
from vrlprobe.collapse.indicators import GRADIENT, SPREAD
from vrlprobe.collapse.phases import Stage, stages
from vrlprobe.runs.record import Record

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run
from vrlprobe.metrics.gradients import gradient_norms

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Readings:
    """What a run's checkpoints show, one value each.

    Attributes:
        frames: int64 (n,).
        values: by a sign's name, float64 (n,); NaN before an attempt's first update.
        attempts: int64 (n,), 1 throughout where nothing was reset; that of the checkpoint before
            where a commit left it out.
    """

    frames: npt.NDArray[np.int64]
    values: dict[str, Floats]
    attempts: npt.NDArray[np.int64]

    def of_attempt(self, number: int) -> "Readings":
        """The rows of one attempt."""
        rows = self.attempts == number
        values = {name: column[rows] for name, column in self.values.items()}
        return Readings(self.frames[rows], values, self.attempts[rows])


def readings(run: "Run | Record") -> Readings:
    """Every logged column of a run or record by name, `grad_norm[mlp1]` for one with a dimension.

    One with several has names such as `attention[mlp1,head0]`.

    A spread that was not logged is that of the rollouts' actions; gradient norms that were not
    logged are computed from the checkpoints' stored batches.
    """
    log, count = run.log, len(run.frames)
    values = {name: column for item in log.data_vars.values() for name, column in _columns(item)}
    attempts = _carried_on(values.get("attempt", np.ones(count)))
    for name, compute in ((SPREAD.name, _rollout_spread), (GRADIENT.name, _gradient)):
        if name not in values:
            found = [] if isinstance(run, Record) else [compute(run, f) for f in run.frames]
            values[name] = np.array(found or [np.nan] * count)
    if "updates" in values:
        untrained = values["updates"] == 0
        values = {name: np.where(untrained, np.nan, column) for name, column in values.items()}
    return Readings(run.frames, values, attempts)


def _columns(item: xr.DataArray) -> list[tuple[str, Floats]]:
    if item.ndim == 1:
        return [(str(item.name), item.values)]
    labels = itertools.product(*(item[dim].values for dim in item.dims[1:]))
    places = np.ndindex(item.shape[1:])
    return [
        (f"{item.name}[{','.join(map(str, label))}]", item.values[:, *at])
        for label, at in zip(labels, places, strict=True)
    ]


def _carried_on(attempts: Floats) -> npt.NDArray[np.int64]:
    """Numbers of attempts, those left out being the last one known, or 1."""
    rows = np.where(np.isfinite(attempts), np.arange(len(attempts)), -1)
    last = np.maximum.accumulate(rows)
    return np.where(last < 0, 1, attempts[last]).astype(np.int64)


def _rollout_spread(run: "Run", frame: int) -> float:
    if not run.layout.n_actions:
        return float("nan")
    actions = [episode.actions for episode in run.rollout(frame)]
    return measure.action_spread(np.concatenate(actions)) if actions else float("nan")


def _gradient(run: "Run", frame: int) -> float:
    return gradient_norms(run, frame).get("mlp1", float("nan"))


def attempt_begins(whole: Readings) -> dict[int, int]:
    """By an attempt's number: the frame at which it began, the last one of the attempt before."""
    begins = {int(whole.attempts[0]): 0}
    for before, number in zip(whole.frames, whole.attempts[1:], strict=False):
        begins.setdefault(int(number), int(before))
    return begins


class Staged(NamedTuple):
    """The stage that a checkpoint belongs to: its word, first frame, and the first one after it."""

    word: str = ""
    """collapsed or healthy; empty before an attempt's first update, and where too few follow it."""
    begin: int = -1
    end: int = -1
    """Below 0 where the stage goes on to the run's last checkpoint."""


def attempt_stages(whole: Readings) -> dict[int, tuple[npt.NDArray[np.int64], tuple[Stage, ...]]]:
    """By an attempt's number: frames of its readings of the spread, and the stages they show."""
    found = {}
    for number in np.unique(whole.attempts).tolist():
        part = whole.of_attempt(number)
        known = np.isfinite(part.values[SPREAD.name])
        frames, spread = part.frames[known], part.values[SPREAD.name][known]
        found[number] = frames, stages(frames, ~SPREAD.healthy(spread))
    return found


def staged(whole: Readings) -> list[Staged]:
    """The stage of every checkpoint, attempt by attempt, by the spread of actions."""
    every = whole.frames.tolist()
    following = dict(itertools.pairwise([*every, -1]))
    found = dict.fromkeys(every, Staged())
    for frames, parts in attempt_stages(whole).values():
        for stage in parts:
            inside = frames[(frames >= stage.first) & (frames <= stage.last)]
            word = "collapsed" if stage.collapsed else "healthy"
            item = Staged(word, stage.first, following[stage.last])
            found |= dict.fromkeys(inside.tolist(), item)
    return list(found.values())
