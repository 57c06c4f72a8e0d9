"""A diagnosis in words, from what was measured of a run and its references."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe.analyses._collapse import noise_window
from vrlprobe.analyses._survival import survival
from vrlprobe.analyses.shared.blame import listed
from vrlprobe.analyses.shared.culprit import acting_limit, bracket
from vrlprobe.collapse.indicators import ACTION_STD
from vrlprobe.errors import SampleError
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.reader import Run
from vrlprobe.stats.bootstrap import FEWEST

NOTABLE = 3.0
"""Ratio to the reference from which a number is told."""
FULL = 0.5
"""Share of a layer's units that never move, from which it is told."""


def chances(runs: Sequence[LoggedRun]) -> xr.Dataset | None:
    """What `survival` says of the runs; None of few, of unlike ones, or where none came out."""
    if len(runs) < FEWEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            return survival(runs)
        except (SampleError, UserWarning):
            return None


def diagnosis(result: xr.Dataset, label: str, run: Run, logged: xr.Dataset | None) -> str:
    """The lines of one run's diagnosis.

    Parameters
    ----------
    result : xarray.Dataset
        What `diagnose` has filled in of this run.
    label : str
    run : Run
    logged : xarray.Dataset or None
        What `survival` returns of the runs.
    """
    part = result.sel(run=label)
    own = result.sel(agent=label)
    collapsed = not ACTION_STD.healthy(own["action_spread"].item())
    lines = {"state": _state(part, own, collapsed)}
    if collapsed:
        lines["part"] = _parts(result, part)
        lines["layer"] = _layers(result, part)
        lines["lasts"] = _lasts(result, label, part)
    lines["do"] = _advice(part, run, collapsed, logged)
    return "\n".join(f"{name:<6} {text}" for name, text in lines.items())


def _state(part: xr.Dataset, own: xr.Dataset, collapsed: bool) -> str:
    since = int(part["since"])
    joint = {"stuck": "since", "escaped": "at"}.get(str(part["verdict"].item()), "")
    word = f"{part['verdict'].item()} {joint} {since:,} frames" if since >= 0 else (
        str(part["verdict"].item())
    )  # fmt: skip
    reason = f" ({part['reason'].item()})" if part["reason"].item() else ""
    does = "takes one action whatever it sees" if collapsed else "acts"
    returned = own["episode_return"].item()
    told = "" if returned != returned else f", return {returned:.0f}"
    spread = own["action_spread"].item()
    at = int(own["at_frame"])
    return f"{word}{reason}; at frame {at:,} it {does} (action std {spread:.2g}{told})"


def references(part: xr.Dataset) -> list[str]:
    """The references that a run was compared with."""
    known = part["patched_spread"].notnull().any("layer") | part["encoder_spread"].notnull()
    found: list[str] = part["reference"].values[known.values].tolist()
    return found


def blamed(result: xr.Dataset, part: xr.Dataset, reference: str) -> dict[str, bool]:
    """By part, whether it collapses the reference's other part; without those that do not fit."""
    limit = acting_limit(result["action_spread"].sel(agent=reference).item())
    found = {}
    for name in ("encoder", "actor"):
        value = part[f"{name}_spread"].sel(reference=reference).item()
        if value == value:
            found[name] = value <= limit
    return found


def _parts(result: xr.Dataset, part: xr.Dataset) -> str:
    """Which part collapses those of the references."""
    clauses = []
    for name in references(part):
        found = blamed(result, part, name)
        spread = {each: part[f"{each}_spread"].sel(reference=name).item() for each in found}
        stds = ", ".join(f"{each} {value:.2g}" for each, value in spread.items())
        guilty = [each for each, collapses in found.items() if collapses]
        if not found:
            clauses.append(f"no part fits those of {name}")
        elif guilty:
            clauses.append(
                f"the {' and the '.join(guilty)} collapse{'s' if len(guilty) == 1 else ''} the "
                f"other part of {name} (action std: {stds})"
            )
        else:
            clauses.append(f"neither part collapses the other one of {name} (action std: {stds})")
    return "; ".join(clauses) or "no reference to exchange parts with"


def _layers(result: xr.Dataset, part: xr.Dataset) -> str:
    """From which layer on the actions vary with the references' activations."""
    clauses = []
    for name in references(part):
        limit = acting_limit(result["action_spread"].sel(agent=name).item())
        values = part["patched_spread"].sel(reference=name).values.tolist()
        spread = dict(zip(part["layer"].values.tolist(), values, strict=True))
        before, first, untried = bracket(spread, limit)
        if not (before or first):
            continue
        gap = f" ({listed(untried)} not patched: other widths)" if untried else ""
        if not first:
            clauses.append(f"none brings the actions back, up to {before}, from {name}{gap}")
        else:
            until = f", not with {before}" if before else ", the first layer"
            clauses.append(f"with {first} of {name} the actions vary again{until}{gap}")
    return "; ".join(clauses) or "no layer could be patched"


def culprit(result: xr.Dataset, label: str, reference: str) -> str:
    """The layer that ends the variation of actions; `action` where it is what follows the last one.

    Empty where the run acts, or where layers of other widths leave it open.
    """
    if ACTION_STD.healthy(result["action_spread"].sel(agent=label).item()):
        return ""
    part = result.sel(run=label)
    limit = acting_limit(result["action_spread"].sel(agent=reference).item())
    values = part["patched_spread"].sel(reference=reference).values.tolist()
    _, first, untried = bracket(
        dict(zip(part["layer"].values.tolist(), values, strict=True)), limit
    )
    return "" if untried else first or "action"


def _lasts(result: xr.Dataset, label: str, part: xr.Dataset) -> str:
    """What differs from the last reference by much."""
    own = result.sel(agent=label)
    names = references(part)
    other = result.sel(agent=names[-1]) if names else None
    told = []
    for layer in result["layer"].values.tolist():
        share = own["constant_share"].sel(layer=layer).item()
        theirs = other["constant_share"].sel(layer=layer).item() if other is not None else 0.0
        if share >= FULL and share > theirs:
            told.append(f"{share:.0%} of {layer}'s units never move")
    if other is not None:
        told += _ratios(
            own, other, "variation", "layer", "of {key} {own:.1%} varies ({other:.0%})", low=True
        )
        told += _ratios(
            own, other, "pre_tanh", "tanh", "{own:.2g} enters the tanh of {key} ({other:.2g})"
        )
        for name, text in (("q_spread", "Q varies by {:.2g} over actions ({:.2g})"),):
            values = own[name].item(), other[name].item()
            if values[0] == values[0] and values[1] > NOTABLE * values[0]:
                told.append(text.format(*values))
    steps = own["effective_step"].dropna("weight")
    actor = [float(v) for v in steps if str(v["weight"].item()).startswith("actor/")]
    if actor and (median := float(np.median(actor))) < 1 / NOTABLE:
        told.append(f"the actor's gradient is {median:.1g} of what Adam divides by")
    brackets = f" (in brackets: {names[-1]})" if told and names else ""
    return f"{'; '.join(told)}{brackets}" if told else "nothing measured stands out"


def _ratios(
    own: xr.Dataset, other: xr.Dataset, name: str, dim: str, text: str, *, low: bool = False
) -> list[str]:
    """Sentences on values that are far from the reference's."""
    found: list[str] = []
    for key in own[dim].values.tolist():
        mine, theirs = (each[name].sel({dim: key}).item() for each in (own, other))
        far = theirs > NOTABLE * mine if low else mine > NOTABLE * theirs
        if mine == mine and theirs == theirs and far:
            found.append(text.format(key=key, own=mine, other=theirs))
    return found


def _advice(part: xr.Dataset, run: Run, collapsed: bool, logged: xr.Dataset | None) -> str:
    """Wait, start again, or nothing."""
    if not collapsed:
        return "nothing: it is not in action collapse"
    waiting = _waiting(part, logged)
    if waiting:
        return waiting
    last = int(run.frames[-1])
    try:
        end = noise_window(run, None)
    except SampleError:
        end = None
    if part["verdict"].item() != "stuck" and end is not None and last < end:
        return (
            f"wait until the exploration noise has decayed, at frame {end:,}; start again with "
            "another seed if it is still in collapse"
        )
    text = "start again with another seed (`vrltrain run --reset-rule` does it by itself)"
    if logged is not None:
        out, count = int(logged["out"].sum()), logged.sizes["attempt"]
        cutoff = logged["cutoff"].sel(bound="estimate").item()
        text += f": {out} of {count} attempts in these runs are out of collapse"
        if cutoff == cutoff:
            text += f", giving up at {cutoff:,.0f} frames costs the fewest per escape"
    return text


def _waiting(part: xr.Dataset, logged: xr.Dataset | None) -> str:
    """What survival says of a run that has frames left; empty where it says nothing."""
    label: Any = part["run"].item()
    if logged is None or label not in logged["waiting"].values.tolist():
        return ""
    here = logged.sel(waiting=label)
    out, again = (here[name].sel(bound="estimate").item() for name in ("out_waiting", "out_again"))
    if out != out or again != again:
        return ""
    better = "start again" if again > out else "wait"
    return (
        f"{better}: in the {int(here['left']):,} frames left it comes out with a chance of "
        f"{out:.0%}, a new attempt with {again:.0%} (by the survival of these runs)"
    )
