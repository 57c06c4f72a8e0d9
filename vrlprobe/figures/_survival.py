"""How long attempts stay in action collapse, and what giving up at each frame costs."""

import json

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vrlprobe.figures._result import Plot
from vrlprobe.figures.style import FAINT, FULL_WIDTH, INK, OPTIONS, ROLES, frame_axis, thousands
from vrlprobe.results.file import check_kind


def survival(result: xr.Dataset) -> Plot:
    """How long attempts stay in collapse, and how many frames an escape takes if all are given up.

    Args:
        result: what `vrlprobe.analyses.survival` returned.
    """
    check_kind(result, "outlook")
    return Plot(draw(result), result)


def draw(found: xr.Dataset) -> Figure:
    """Left: share of attempts still in collapse, by frame; right: frames per escape by cutoff.

    Bands are 95% intervals; ticks on the curve are attempts that were last seen there. Dashed is
    the cutoff with the fewest frames per escape, dotted the window of the runs' reset rule.

    Args:
        found: what `vrlprobe.analyses.survival` returns.
    """
    out, count = int(found["out"].sum()), found.sizes["attempt"]
    with mpl.rc_context(OPTIONS):
        figure = Figure(figsize=(FULL_WIDTH, 2.6), layout="constrained")
        still, cost = figure.subplots(1, 2)
        _still(still, found)
        _cost(cost, found)
        for ax, label in ((still, "frame of an attempt"), (cost, "attempts given up at frame")):
            ax.set_xlim(left=0)
            frame_axis(ax)
            ax.set_xlabel(label)
        still.set_title(f"{out} of {count} attempts are out", loc="left")
        cost.legend(loc="upper right", frameon=False)
        figure.supxlabel(
            "bands: 95% intervals; ticks: attempts last seen in collapse; frames per escape: those "
            "of all given up, too",
            fontsize=6.5,
        )
    return figure


def _still(ax: Axes, found: xr.Dataset) -> None:
    frames = found["frame"].values  # the first measurement: nothing is known before it
    share, low, high = found["in_collapse"].values
    ax.fill_between(frames, low, high, step="post", color=ROLES[0], alpha=0.18, lw=0)
    ax.step(frames, share, where="post", color=ROLES[0], lw=1.6)
    unseen = np.unique(found["duration"].values[~found["out"].values])
    unseen = unseen[unseen <= frames[-1]]
    at = np.searchsorted(frames, unseen, side="right") - 1  # every duration is a frame of it
    ax.plot(unseen, share[at], "|", color=INK, ms=7)
    ax.set_ylim(0, 1.04)
    ax.set_ylabel("share still in collapse")


def _cost(ax: Axes, found: xr.Dataset) -> None:
    frames = found["frame"].values
    mean, low, high = found["frames_per_escape"].values
    finite = mean[np.isfinite(mean)]
    top = 1.6 * (finite if len(finite) else frames).max()
    ax.fill_between(frames, low, np.minimum(high, 10 * top), color=ROLES[1], alpha=0.18, lw=0)
    ax.plot(frames, mean, "o-", color=ROLES[1], lw=1.4, ms=3)
    best = found["cutoff"].sel(bound="estimate").item()
    ax.axvline(best, color=INK, ls="--", lw=1, label=f"fewest, at {best:,.0f}")
    for window in sorted(
        {c["rule_window"] for c in json.loads(found.attrs["configs"]).values()} - {None}
    ):
        ax.axvline(window, color=FAINT, ls=":", lw=1.4, label=f"the rule's window, {window:,}")
    ax.set_ylim(0, top)
    if (beyond := high[high > top]).size:
        reach = thousands(float(f"{beyond.max():.2g}")) if np.isfinite(beyond).all() else "∞"
        ax.set_title(f"up to {reach} ↑", loc="right", fontsize=6)
    ax.yaxis.set_major_formatter(FuncFormatter(thousands))
    ax.set_ylabel("frames per escape")
