"""What a run's log says of its checkpoints, one value each, and the phases that follow from it."""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe import metrics as measure
from vrlprobe.collapse.indicators import ACTION_STD, GRADIENT
from vrlprobe.collapse.phases import Phase, phases
from vrlprobe.metrics.gradients import gradient_norms
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.reader import Run

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measurements:
    """What a run's checkpoints show, one value each.

    Attributes:
        frames: int64 (n,).
        values: by an indicator's name, float64 (n,); NaN before an attempt's first update.
        attempts: int64 (n,), 1 throughout where nothing was reset; that of the checkpoint before
            where a commit left it out.
    """

    frames: npt.NDArray[np.int64]
    values: dict[str, Floats]
    attempts: npt.NDArray[np.int64]

    def of_attempt(self, number: int) -> "Measurements":
        """The rows of one attempt."""
        rows = self.attempts == number
        values = {name: column[rows] for name, column in self.values.items()}
        return Measurements(self.frames[rows], values, self.attempts[rows])


def measurements(run: "LoggedRun") -> Measurements:
    """Every logged column of a run or record by name, `grad_norm[mlp1]` for one with a dimension.

    One with several has names such as `attention[mlp1,head0]`.

    A spread that was not logged is that of the rollouts' actions; gradient norms that were not
    logged are computed from the checkpoints' stored batches.
    """
    log, count = run.log, len(run.frames)
    values = {name: column for item in log.data_vars.values() for name, column in _columns(item)}
    attempts = _carried_on(values.get("attempt", np.ones(count)))
    for name, compute in ((ACTION_STD.name, _rollout_std), (GRADIENT.name, _gradient)):
        if name not in values:
            found = [compute(run, f) for f in run.frames] if isinstance(run, Run) else []
            values[name] = np.array(found or [np.nan] * count)
    if "updates" in values:
        untrained = values["updates"] == 0
        values = {name: np.where(untrained, np.nan, column) for name, column in values.items()}
    return Measurements(run.frames, values, attempts)


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
    last = np.maximum.accumulate(rows) if len(rows) else rows
    return np.where(last < 0, 1, attempts[last]).astype(np.int64)


def _rollout_std(run: "Run", frame: int) -> float:
    if not run.layout.n_actions:
        return float("nan")
    actions = [episode.actions for episode in run.rollout(frame)]
    return measure.action_std(np.concatenate(actions)) if actions else float("nan")


def _gradient(run: "Run", frame: int) -> float:
    return gradient_norms(run, frame).get("mlp1", float("nan"))


def attempt_begins(whole: Measurements) -> dict[int, int]:
    """By an attempt's number: the frame at which it began, the last one of the attempt before."""
    begins = {int(number): 0 for number in whole.attempts[:1]}
    for before, number in zip(whole.frames, whole.attempts[1:], strict=False):
        begins.setdefault(int(number), int(before))
    return begins


class CheckpointPhase(NamedTuple):
    """The phase that a checkpoint belongs to: its word, first frame, and the first one after it."""

    word: str = ""
    """collapsed or healthy; empty before an attempt's first update, and where too few follow it."""
    begin: int = -1
    end: int = -1
    """Below 0 where the phase goes on to the run's last checkpoint."""


def attempt_phases(
    whole: Measurements,
) -> dict[int, tuple[npt.NDArray[np.int64], tuple[Phase, ...]]]:
    """By an attempt's number: frames of its measurements of the action std, and their phases."""
    found = {}
    for number in np.unique(whole.attempts).tolist():
        part = whole.of_attempt(number)
        known = np.isfinite(part.values[ACTION_STD.name])
        frames, spread = part.frames[known], part.values[ACTION_STD.name][known]
        found[number] = frames, phases(frames, ~ACTION_STD.healthy(spread))
    return found


def checkpoint_phases(whole: Measurements) -> list[CheckpointPhase]:
    """The phase of every checkpoint, attempt by attempt, by the spread of actions."""
    every = whole.frames.tolist()
    following = dict(itertools.pairwise([*every, -1]))
    found = dict.fromkeys(every, CheckpointPhase())
    for frames, parts in attempt_phases(whole).values():
        for phase in parts:
            inside = frames[(frames >= phase.first) & (frames <= phase.last)]
            word = "collapsed" if phase.collapsed else "healthy"
            item = CheckpointPhase(word, phase.first, following[phase.last])
            found |= dict.fromkeys(inside.tolist(), item)
    return list(found.values())
