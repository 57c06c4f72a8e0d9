"""Which metrics switch when a run comes out of action collapse (paper, section 5.1)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.collapse.phases import CONFIRMED
from vrlprobe.errors import SampleError
from vrlprobe.metrics.registry import AGENT, LAYERED
from vrlprobe.results.dataset import Variables, blank
from vrlprobe.stats.threshold import Cut, best_cut, separation

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

VARIABLES: Variables = {
    "separation": (
        ("metric",), np.nan,
        "chance that of two checkpoints the collapsed one has the larger value",
    ),
    "threshold": (("metric",), np.nan, "that tells collapsed from healthy checkpoints best"),
    "collapsed_above": (("metric",), False, "whether collapsed checkpoints lie above it"),
    "lag": (
        ("metric", "run"), np.nan,
        "frames from the escape to the metric's lasting switch, negative before it",
    ),
    "escape": (("run",), -1, "first frame after collapse, by the spread of actions"),
}  # fmt: skip


@dataclass(frozen=True)
class _Out:
    """How the run at a place came out of collapse."""

    place: int
    begin: int
    """First frame of the collapse that it came out of."""
    escape: int
    """First frame after it."""


def escape(measured: xr.Dataset) -> xr.Dataset:
    """Hold every metric's switch against the escape that the spread of actions shows.

    A metric switches where, since the collapse began, two measurements in a row lie for the first
    time on the healthy side of the threshold that tells collapsed from healthy checkpoints best.

    Args:
        measured: what `vrlprobe.analyses.metrics` returns.

    Returns:
        Dims (metric, run), metrics named `numerical_rank[mlp1]`; runs are those that came out. The
        variables of `VARIABLES`: thresholds and separation are over the checkpoints of all runs,
        those that never came out included. Attributes: `n_collapsed`, `n_healthy` checkpoints, and
        `interval`, the frames between two of them.

    Raises:
        SampleError: no run that came out, no checkpoint in collapse, one sample set for all, or not
            every checkpoint about an escape.
    """
    if measured.attrs.get("samples") == "own":
        raise SampleError(
            "measured on each checkpoint's own rollout: measure all of them on one sample set"
        )
    phase = _phases(measured)
    frames, labels = measured["frame"].values, measured["run"].values.tolist()
    outs = list(_outs(phase, frames))
    if not outs:
        raise SampleError("none of these runs comes out of action collapse: nothing switches")
    columns = _columns(measured)
    came_out = [labels[out.place] for out in outs]
    result = blank({"metric": list(columns), "run": came_out}, VARIABLES)
    result["escape"][:] = [out.escape for out in outs]
    _check_measured(measured, result["escape"])
    known, collapsed = phase != "", phase == "collapsed"
    for name, values in columns.items():
        there = known & np.isfinite(values)
        cut = best_cut(values[there], collapsed[there])
        result["separation"].loc[name] = separation(values[there], collapsed[there])
        result["threshold"].loc[name] = cut.threshold
        result["collapsed_above"].loc[name] = cut.above
        for out in outs:
            mine = there[out.place]
            lag = _lag(frames[mine], values[out.place, mine], cut, out)
            result["lag"].loc[name, labels[out.place]] = lag
    steps = np.concatenate([np.diff(frames[row]) for row in known])
    return result.assign_attrs(
        {
            **{key: measured.attrs[key] for key in ("samples", "configs") if key in measured.attrs},
            "n_collapsed": int(collapsed.sum()),
            "n_healthy": int((known & ~collapsed).sum()),
            "interval": int(np.median(steps)),
        }
    )


def _check_measured(measured: xr.Dataset, escape: xr.DataArray) -> None:
    """Raise SampleError where the checkpoint at which a run came out was not measured."""
    for run, frame in zip(escape["run"].values.tolist(), escape.values.tolist(), strict=True):
        begin = measured["stage_begin"].sel(run=run, frame=frame).item()
        if begin != frame:
            raise SampleError(
                f"{run} came out of collapse at {begin:,} frames, which was not measured: measure "
                "every checkpoint"
            )


def _phases(measured: xr.Dataset) -> npt.NDArray[np.object_]:
    """Phases (run, frame) of each run's last attempt, empty elsewhere: a reset is no escape."""
    phase = measured["stage"].transpose("run", "frame").values.astype(object)
    if "attempt" in measured:
        attempt = measured["attempt"].transpose("run", "frame").values
        phase[attempt != attempt.max(axis=1, keepdims=True)] = ""
    return phase


def _columns(measured: xr.Dataset) -> dict[str, Floats]:
    """Values (run, frame) by a metric's name with its layer; those that are nowhere defined out."""
    found = {
        f"{name}[{layer}]": measured[name].sel(layer=layer).transpose("run", "frame").values
        for name in LAYERED
        if name in measured
        for layer in measured["layer"].values
    }
    for name in AGENT:
        if name in measured and name != "episode_return":
            found[name] = measured[name].transpose("run", "frame").values
    return {name: values for name, values in found.items() if np.isfinite(values).any()}


def _outs(phase: npt.NDArray[np.object_], frames: npt.NDArray[np.int64]) -> Iterator[_Out]:
    """The runs that came out of collapse, of phases (run, frame) that are empty where unknown."""
    for place, row in enumerate(phase):
        known, mine = row[row != ""], frames[row != ""]
        if (escape := _escape(known)) is not None:
            yield _Out(place, int(mine[_begin(known, escape)]), int(mine[escape]))


def _escape(phase: npt.NDArray[np.object_]) -> int | None:
    """Place of the first healthy checkpoint after the last collapse; None where there is none."""
    inside = np.flatnonzero(phase == "collapsed")
    return int(inside[-1]) + 1 if len(inside) and inside[-1] + 1 < len(phase) else None


def _begin(phase: npt.NDArray[np.object_], escape: int) -> int:
    """Place of the first checkpoint of the collapse that ends at `escape`."""
    healthy = np.flatnonzero((phase != "collapsed")[:escape])
    return int(healthy[-1]) + 1 if len(healthy) else 0


def _lag(frames: npt.NDArray[np.int64], values: Floats, cut: Cut, out: _Out) -> float:
    """Frames from a run's escape to the switch of its metric; NaN where that never switches."""
    switch = _switch(values, cut, frames >= out.begin)
    return float("nan") if switch is None else float(frames[switch] - out.escape)


def _switch(values: Floats, cut: Cut, eligible: Bools) -> int | None:
    """First eligible place from which `CONFIRMED` measurements in a row are on the healthy side.

    At the end of a run fewer will do; None where it never is, or the metric has no threshold.
    """
    if np.isnan(cut.threshold):
        return None
    healthy = ~cut.tells(values)
    lasting = [healthy[at : at + CONFIRMED].all() for at in range(len(values))]
    found = np.flatnonzero(np.array(lasting, bool) & eligible)
    return int(found[0]) if len(found) else None
