"""Which part of a stuck agent collapses its actions, told from every CNN with every MLP."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.stats.bootstrap import FEWEST

Floats = npt.NDArray[np.float64]

NAMES = {"cnn": "encoder", "mlp": "MLP"}
"""The parts in sentences."""
OTHER = {"cnn": "mlp", "mlp": "cnn"}
MOST = 3
"""Checkpoints that a sentence names."""


def acting(spread: Floats) -> Floats:
    """Which pairs act: 1 where the action varies by any adapter, 0 where by none, NaN if untried.

    Args:
        spread: (n_cnn, n_mlp, n_adapters), standard deviation of the action, NaN where not tried.
    """
    tried = np.isfinite(spread).any(axis=2)
    found: Floats = np.where(tried, ACTION_STD.healthy(spread).any(axis=2), np.nan)
    return found


def collapsing(acts: npt.ArrayLike) -> dict[str, list[int]]:
    """Checkpoints whose CNN, or MLP, collapses every partner that it was tried with.

    One of these partners must act with another checkpoint's part: otherwise it is not known whether
    the partners can act at all.

    Args:
        acts: (n, n), CNN by MLP of the same checkpoints, as `acting` returns them.
    """
    table = np.asarray(acts, np.float64)
    return {
        part: [own for own in range(len(rows)) if _collapses(rows, own)]
        for part, rows in (("cnn", table), ("mlp", table.T))
    }


def _collapses(rows: Floats, own: int) -> bool:
    tried = np.isfinite(rows[own])
    return bool((rows[own][tried] == 0).all() and (rows[:, tried] == 1).any())


def answer(result: xr.Dataset) -> str:
    """In a sentence, which part collapses the actions of others' parts.

    Args:
        result: what `stitch` returns, or a result with its dimension `adapter`.
    """
    if "adapter" not in result.dims:
        result = result.expand_dims(adapter=["none"], axis=-1)
    spread = result["action_spread"].transpose("cnn", "mlp", "adapter")
    acts = acting(spread.values)
    trained = result["trained"].values
    found = {
        part: [place for place in places if trained[place]]
        for part, places in collapsing(acts).items()
    }
    labels = result["donor"].values.tolist()
    if not (acts == 1).any():
        most = float(spread.max())
        return (
            f"no pair acts (action std at most {most:.1g}), so no part can be blamed: add a "
            "checkpoint that acts"
        )
    if any(found.values()):
        return "; ".join(_named(result, found, labels))
    stuck = [place for place in np.flatnonzero(np.diag(acts) == 0).tolist() if trained[place]]
    if stuck:
        return _together(acts, stuck[0], labels)
    least = float(np.diag(spread.max("adapter").values)[trained].min())
    return f"every trained checkpoint acts (action std {least:.2g} or more): no part is to blame"


def _named(result: xr.Dataset, found: dict[str, list[int]], labels: Sequence[str]) -> list[str]:
    """A clause for each part that collapses others, and how the first one's other part serves."""
    clauses = []
    for part in ("mlp", "cnn"):
        if not (places := found[part]):
            continue
        own = {part: [labels[place] for place in places]}
        most = float(result["action_spread"].sel(own).max())
        several = len(places) > 1
        clauses.append(
            f"the {NAMES[part]}{'s' if several else ''} of {listed(own[part])} "
            f"collapse{'' if several else 's'} every {NAMES[OTHER[part]]} tried (action std at "
            f"most {most:.1g}{_with_maps(result)})"
        )
    every = [(part, place) for part in ("mlp", "cnn") for place in found[part]]
    for part, place in every:
        if place not in found[OTHER[part]] and (clause := _serving(result, part, labels[place])):
            return [*clauses, clause]
    return clauses


def _with_maps(result: xr.Dataset) -> str:
    return ", also behind a fitted linear map" if result.sizes["adapter"] > 1 else ""


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and 7 more`."""
    if len(names) > MOST:
        return f"{', '.join(names[: MOST - 1])} and {len(names) - MOST + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _serving(result: xr.Dataset, part: str, label: str) -> str:
    """How the other part of a checkpoint does with the best agent's; empty where it is unknown."""
    best = _best(result, label)
    if best is None:
        return ""
    pair = {part: best, OTHER[part]: label}
    told = []
    for adapter in result["adapter"].values.tolist():
        at = {**pair, "adapter": adapter}
        share = result["relative_return"].sel(part=part, **at)
        if np.isfinite(share.sel(bound="estimate")):
            theirs = (
                result["mean_return"]
                .sel(cnn=best, mlp=best, adapter="none", bound="estimate")
                .item()
            )
            own = result["mean_return"].sel(**at, bound="estimate").item()
            prefix = "" if adapter == "none" else "behind a fitted linear map "
            told.append(f"{prefix}{_share(share, own, theirs, result.sizes['episode'])}")
    if not told:
        return ""
    return (
        f"the {NAMES[OTHER[part]]} of {label} serves the {NAMES[part]} of {best} at "
        f"{', '.join(told)}"
    )


def _share(share: xr.DataArray, own: float, theirs: float, episodes: int) -> str:
    estimate, low, high = (100 * share.sel(bound=["estimate", "low", "high"]).values).tolist()
    interval = f"95% interval {low:.0f} to {high:.0f}%"
    if np.isnan(low):
        interval = "too few for an interval" if episodes < FEWEST else "all alike"
    return (
        f"{estimate:.0f}% of that agent's own return ({own:.0f} of {theirs:.0f} over {episodes} "
        f"episode{'s' if episodes > 1 else ''}, {interval})"
    )


def _best(result: xr.Dataset, but: str) -> str | None:
    """The checkpoint with the largest return among those that act and were trained."""
    found: dict[str, Any] = {}
    for label in result["donor"].values[result["trained"].values].tolist():
        own = result.sel(cnn=label, mlp=label, adapter="none")
        returned = own["mean_return"].sel(bound="estimate").item()
        if (
            label != but
            and ACTION_STD.healthy(own["action_spread"].item())
            and np.isfinite(returned)
        ):
            found[label] = returned
    return max(found, key=found.__getitem__) if found else None


def _together(acts: Floats, place: int, labels: Sequence[str]) -> str:
    """A checkpoint that is collapsed although neither part collapses all others."""
    partners = {
        "MLP": [labels[at] for at in np.flatnonzero(acts[:, place] == 1).tolist()],
        "encoder": [labels[at] for at in np.flatnonzero(acts[place] == 1).tolist()],
    }
    clauses = [
        f"its {name} acts with the {'encoder' if name == 'MLP' else 'MLP'} of {listed(others)}"
        for name, others in partners.items()
        if others
    ]
    text = f"{labels[place]} is collapsed, but neither of its parts collapses every other"
    return (
        f"{text}: {' and '.join(clauses)}"
        if clauses
        else (f"{labels[place]} is collapsed, and none of its parts was tried with one that acts")
    )
