"""Which metrics switch when a run comes out of action collapse (paper, section 5.1)."""

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.collapse import CONFIRMED
from vrlprobe.errors import SampleError
from vrlprobe.foretell import Cut, best_cut, separation
from vrlprobe.studies.common import Variables, blank
from vrlprobe.studies.measuring import AGENT, LAYERED

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


def escapes(measured: xr.Dataset) -> xr.Dataset:
    """Hold every metric's switch against the escape that the spread of actions shows.

    A metric switches where, since the collapse began, two readings in a row lie for the first time
    on the healthy side of the threshold that tells collapsed from healthy checkpoints best.

    Args:
        measured: what `vrlprobe.studies.metrics` returns.

    Returns:
        Dims (metric, run), metrics named `numerical_rank[mlp1]`; runs are those that came out. The
        variables of `VARIABLES`: thresholds and separation are over the checkpoints of all runs,
        those that never came out included. Attributes: `n_collapsed`, `n_healthy` checkpoints, and
        `interval`, the frames between two of them.

    Raises:
        SampleError: no run that came out, or no checkpoint in collapse.
    """
    stage = measured["stage"].transpose("run", "frame").values
    columns = _columns(measured)
    outs = {
        run: place
        for run, row in zip(measured["run"].values.tolist(), stage, strict=True)
        if (place := _escape(row)) is not None
    }
    if not outs:
        raise SampleError("none of these runs comes out of action collapse: nothing switches")
    frames = measured["frame"].values
    result = blank({"metric": list(columns), "run": list(outs)}, VARIABLES)
    result["escape"][:] = [frames[place] for place in outs.values()]
    known, collapsed = stage != "", stage == "collapsed"
    rows = {run: at for at, run in enumerate(measured["run"].values.tolist())}
    for name, values in columns.items():
        there = known & np.isfinite(values)
        cut = best_cut(values[there], collapsed[there])
        scores = (separation(values[there], collapsed[there]), cut.threshold, cut.above)
        for variable, value in zip(VARIABLES, scores, strict=False):
            result[variable].loc[name] = value
        for run, place in outs.items():
            at = rows[run]
            here = np.flatnonzero(there[at])
            begin = _begin(stage[at], place)
            switch = _switch(values[at][here], cut, here >= begin)
            if switch is not None:
                result["lag"].loc[name, run] = frames[here[switch]] - frames[place]
    return result.assign_attrs(
        {
            **{key: measured.attrs[key] for key in ("samples", "configs") if key in measured.attrs},
            "n_collapsed": int((known & collapsed).sum()),
            "n_healthy": int((known & ~collapsed).sum()),
            "interval": int(np.median(np.diff(frames))) if len(frames) > 1 else 0,
        }
    )


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


def _escape(stage: npt.NDArray[np.object_]) -> int | None:
    """Place of the first healthy checkpoint after the last collapse; None where there is none."""
    known = np.flatnonzero(stage != "")
    inside = np.flatnonzero(stage == "collapsed")
    if not len(inside) or stage[known[-1]] == "collapsed":
        return None
    return int(known[known > inside[-1]][0])


def _begin(stage: npt.NDArray[np.object_], escape: int) -> int:
    """Place of the first checkpoint of the collapse that ends at `escape`."""
    healthy = np.flatnonzero((stage != "collapsed")[:escape])
    return int(healthy[-1]) + 1 if len(healthy) else 0


def _switch(values: Floats, cut: Cut, eligible: Bools) -> int | None:
    """First eligible place from which `CONFIRMED` readings in a row are on the healthy side.

    At the end of a run fewer will do; None where it never is, or the metric has no threshold.
    """
    if np.isnan(cut.threshold):
        return None
    healthy = ~cut.tells(values)
    lasting = [healthy[at : at + CONFIRMED].all() for at in range(len(values))]
    found = np.flatnonzero(np.array(lasting, bool) & eligible)
    return int(found[0]) if len(found) else None
