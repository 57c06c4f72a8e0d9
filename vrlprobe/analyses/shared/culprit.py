"""Which layer collapses an agent's actions, told from patches of one layer after the other."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from vrlprobe.analyses.shared.blame import listed
from vrlprobe.collapse.indicators import ACTION_STD


def acting_limit(donor_spread: float) -> float:
    """The action's standard deviation above which an agent with a donor's activations acts.

    That of healthy agents, or half of the donor's own where this is less, as for blank networks,
    whose actions vary by 0.02 to 0.07.
    """
    return float(min(ACTION_STD.threshold, donor_spread / 2))


def first_layer(spread: Mapping[str, float], limit: float = ACTION_STD.threshold) -> str:
    """The layer from which on an agent acts with a donor's activations; empty if from none.

    Parameters
    ----------
    spread : dict of float
        By layer, in the agent's order: standard deviation of the action; NaN where not tried.
    limit : float
        Above which it acts.
    """
    first = ""
    for name, value in reversed(list(spread.items())):
        if np.isnan(value):
            continue
        if value <= limit:
            break
        first = name
    return first


def answer(result: xr.Dataset) -> str:
    """In sentences, from which layer on each run's actions vary again.

    Parameters
    ----------
    result : xarray.Dataset
        What `patch` returns.
    """
    sentences = [
        sentence(result.sel(run=run, donor=donor))
        for run in result["run"].values.tolist()
        for donor in result["donor"].values.tolist()
    ]
    return "; ".join(dict.fromkeys(sentences))


def sentence(pair: xr.Dataset) -> str:
    """Where the actions of one run vary again with one donor's activations.

    Parameters
    ----------
    pair : xarray.Dataset
        A result of `patch` at one run and one donor.
    """
    run, donor = pair["run"].item(), pair["donor"].item()
    own, theirs = pair["own_spread"].item(), pair["donor_spread"].item()
    if ACTION_STD.healthy(own):
        return f"{run} acts (action std {own:.2g}): there is nothing to bring back"
    spread = {
        str(name): float(value)
        for name, value in zip(pair["layer"].values, pair["action_spread"].values, strict=True)
    }
    before, first, untried = bracket(spread, acting_limit(theirs))
    if not first:
        least = f"action std at most {np.nanmax(list(spread.values())):.1g}"
        cause = "so what follows its last layer is to blame"
        if untried:
            cause = (
                f"so the part behind {before} is to blame, of which {listed(untried)} could not "
                "be patched"
            )
        return f"no patch from {donor} makes the actions of {run} vary ({least}), {cause}"
    value = f"action std {spread[first]:.2g}"
    text = f"with activations of {donor} the actions of {run} vary again from {first} on ({value})"
    if not before:
        return f"{text}, the first layer tried: what comes before is to blame"
    between = f", of which {listed(untried)} could not be patched," if untried else ""
    return f"{text} and not with those in {before}, so the part between{between} is to blame"


def bracket(
    spread: Mapping[str, float], limit: float = ACTION_STD.threshold
) -> tuple[str, str, list[str]]:
    """The last layer without effect, the first one with, and those between that were not tried.

    Parameters
    ----------
    spread, limit : dict of float, float
        As for `first_layer`.
    """
    names = list(spread)
    first = first_layer(spread, limit)
    end = names.index(first) if first else len(names)
    tried = [name for name in names[:end] if not np.isnan(spread[name])]
    before = tried[-1] if tried else ""
    begin = names.index(before) + 1 if before else 0
    return before, first, names[begin:end]
