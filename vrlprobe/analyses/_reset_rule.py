"""What the reset rule would have done to runs, and how well."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from vrlprobe.collapse.indicators import (
    GRADIENT,
    LOGGED,
    Indicator,
    check_indicator,
    check_indicators,
)
from vrlprobe.collapse.measurements import Measurements, measurements
from vrlprobe.collapse.rule import CONSECUTIVE, Rule, success_probability
from vrlprobe.collapse.verdict import Verdict, judge
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import run_attributes, shared
from vrlprobe.runs.collection import Logged, logged_list, refuse_twice
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.settings import whole
from vrlprobe.samples.selection import run_labels

if TYPE_CHECKING:
    pass
from vrlprobe.analyses._collapse import noise_window, rule_window

RULE_VARIABLES: Mapping[str, str] = {
    "decided": "the window is over, or the attempt may go on already",
    "fired": "frame at which the rule would have reset the run's first attempt, -1 if it keeps it",
    "streak": "most measurements in a row in the window that let the attempt go on",
    "verdict": "what became of the run without a reset",
    "judged": "right, wrong (fired on a run that escaped later, kept one that stayed stuck), open",
    "saved": "frames after the reset that the run spent stuck",
    "lost": "frames thrown away by resetting a run that escaped later",
}


def reset_rule(
    runs: Logged,
    *,
    window: int | None = None,
    indicator: Indicator = GRADIENT,
    consecutive: int = CONSECUTIVE,
    indicators: Sequence[Indicator] = LOGGED,
) -> xr.Dataset:
    """What the reset rule would have done to runs that were trained without it.

    Args:
        runs: open runs or records; of one with resets, the first attempt is looked at, and what
            would have become of it is not known.
        window, consecutive: of the rule, see `vrlprobe.collapse.rule.Rule`; a window that is given
            is also that of the verdicts, see `collapse`.
        indicator: the logged metric that the rule reads, and its threshold.
        indicators: of the verdicts.

    Returns:
        Dims (run,): `decided`, the window is over, or the attempt may go on already; `fired`, the
        frame at which the rule would have reset the first attempt, -1 if it keeps it; `streak`, the
        most measurements in a row in the window that let it go on; `verdict` without a reset;
        `judged`, right, wrong (fired on a run that escaped later, kept one that stayed stuck) or
        open; `saved`, frames after the reset that the run spent stuck; `lost`, frames thrown away
        by resetting a run that escaped later. Dims (): `p`, the share of runs past their
        window that the rule fired on, `n`, the attempts that fit in the shortest run, `success` =
        1 - p^n with its 95% interval `success_low`, `success_high` (paper, proposition 1): the
        chance to pass the rule, which is one to escape as far as it keeps none that is stuck.

    Raises:
        SampleError: several tasks; a run without checkpoints, window or measurements of the metric.
        ValueError: a window or a number of measurements below 1, or indicators that are none.
    """
    check_indicator(indicator)
    check_indicators(indicators)
    runs = logged_list(runs)
    refuse_twice(runs)
    shared([run.config.get("task") for run in runs], runs, "task", "the rule's shares")
    rows: list[dict[str, Any]] = []
    attempts: list[int] = []
    for run in runs:
        if not len(run.frames):
            raise SampleError(f"{run.path.name} has no checkpoint yet")
        whole_run = measurements(run)
        first = whole_run.of_attempt(1)
        if indicator.name not in first.values:
            near = ", ".join(sorted(first.values))
            raise SampleError(
                f"{run.path.name} has no measurements of {indicator.name}: there are {near}"
            )
        applied = Rule(rule_window(run, window), indicator, consecutive)
        _check_measurements(run, applied, first)
        attempts.append(applied.attempts(whole(run, "total_frames", int(run.frames[-1]))))
        verdict = judge(first.frames, first.values, noise_window(run, window), indicators)
        was_reset = int(whole_run.attempts[-1]) > 1
        rows.append(_applied(applied, first, None if was_reset else verdict))
    result = xr.Dataset(
        {
            name: ("run", [row[name] for row in rows], {"long_name": text})
            for name, text in RULE_VARIABLES.items()
        },
        coords={"run": run_labels(runs)},
    )
    result = result.assign(_chance(rows, min(attempts)))
    arguments = {"window": window, "sign": asdict(indicator), "consecutive": consecutive}
    return result.assign_attrs(run_attributes("rule", runs, arguments))


def _chance(rows: Sequence[Mapping[str, Any]], attempts: int) -> dict[str, float]:
    """That one of so many attempts passes the rule, with its interval; none where none is over."""
    over = [row for row in rows if row["over"]]  # earlier ones are only ever kept
    if not over or not attempts:
        return {}
    fired = sum(row["fired"] >= 0 for row in over)
    estimate = success_probability(fired, len(over), attempts)
    names = ("success", "success_low", "success_high")
    return {
        **dict(zip(names, estimate, strict=True)),
        "p": fired / len(over),
        "n": attempts,
    }


def _check_measurements(run: "LoggedRun", applied: Rule, first: Measurements) -> None:
    """Raise SampleError if a window that is over has too few measurements to keep an attempt."""
    inside = first.frames <= applied.window
    count = int(np.isfinite(first.values[applied.indicator.name][inside]).sum())
    if first.frames[-1] >= applied.window and count < applied.consecutive:
        raise SampleError(
            f"{run.path.name} has {count} measurements of {applied.indicator.name} in the first "
            f"{applied.window:,} frames, the rule wants {applied.consecutive} in a row: it would "
            "reset whatever happens (`window`, `consecutive`)"
        )


def _applied(applied: Rule, first: Measurements, verdict: Verdict | None) -> dict[str, Any]:
    """The variables of `RULE_VARIABLES`; no verdict where what came without a reset is unknown."""
    values = first.values[applied.indicator.name]
    fired = applied.fires(first.frames, values)
    streak = applied.streak_in_window(first.frames, values)
    after = int(first.frames[-1]) - fired if fired is not None else 0
    decided = fired is not None or streak >= applied.consecutive
    word = "undecided" if verdict is None else verdict.word
    known = word != "undecided" and decided
    right = (fired is not None) == (word == "stuck")
    return {
        "over": bool(first.frames[-1] >= applied.window),
        "decided": decided,
        "fired": -1 if fired is None else fired,
        "streak": streak,
        "verdict": "unknown: it was reset" if verdict is None else str(verdict),
        "judged": ("right" if right else "wrong") if known else "open",
        "saved": after if word == "stuck" else 0,
        "lost": fired if fired is not None and word in ("escaped", "healthy") else 0,
    }
