"""`vrlprobe reset-rule`: what the reset rule would have done to runs."""

import json
from collections.abc import Mapping
from pathlib import Path

import click
import xarray as xr

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.cli.common import FILE, Session
from vrlprobe.cli.thresholds import (
    parse_thresholds,
    refuse_unread,
    thresholds_option,
    with_thresholds,
)
from vrlprobe.collapse.indicators import GRADIENT, INDICATORS, LOGGED, Indicator
from vrlprobe.collapse.rule import CONSECUTIVE


@click.command("reset-rule")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option(
    "--window", type=click.IntRange(min=1),
    help="Frames of an attempt after which the rule decides; also those after which a collapsed "
    "run counts as stuck.  [default: as recorded in the run]",
)  # fmt: skip
@thresholds_option
@click.option(
    "--metric", metavar="METRIC",
    help="Any logged metric; the rule keeps a run where it exceeds --threshold.  "
    f"[default: {GRADIENT.name}]",
)  # fmt: skip
@click.option(
    "--consecutive", type=click.IntRange(min=1), default=CONSECUTIVE, show_default=True,
    help="How many measurements in a row must pass the threshold to keep a run.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per run.")
def reset_rule(
    runs: tuple[Path, ...],
    window: int | None,
    thresholds: tuple[str, ...],
    metric: str | None,
    consecutive: int,
    as_json: bool,
) -> None:
    """Show what the reset rule would have done to RUNS, and how well.

    The rule restarts an agent whose metric has not passed its threshold several times in a row
    by the end of the window (the paper, section 5.2). The logs are enough.
    """
    given = parse_thresholds(thresholds)
    indicator, indicators = _indicator(metric, given), with_thresholds(LOGGED, given)
    refuse_unread(given, [*indicators, indicator])
    with Session() as session:
        found = analyses.reset_rule(
            session.logged(runs),
            window=window,
            indicator=indicator,
            consecutive=consecutive,
            indicators=indicators,
        )
    click.echo(to_json(found) if as_json else describe(found, indicator, consecutive))


def _indicator(metric: str | None, given: Mapping[str, float]) -> Indicator:
    """What the rule reads; of a metric that is no indicator of its own, above is healthy."""
    name = metric or GRADIENT.name
    known = [indicator for indicator in INDICATORS if indicator.name == name]
    if not known and name not in given:
        raise click.UsageError(
            f"{name} has no threshold of its own: give the one above which a run is kept "
            f"(--threshold {name}=VALUE)"
        )
    return with_thresholds(known or [Indicator(name, given[name])], given)[0]


def describe(found: xr.Dataset, indicator: Indicator, consecutive: int) -> str:
    """A row a run, and the arithmetic behind."""
    rows = []
    for at in range(found.sizes["run"]):
        row = found.isel(run=at)
        fired = row["fired"].item()
        kept = "keeps" if row["decided"] else "too early"
        rows.append(
            {
                "run": str(row["run"].item()),
                "rule": f"resets at {fired:,}" if fired >= 0 else kept,
                "streak": str(row["streak"].item()),
                "without it": str(row["verdict"].item()),
                "rule was": str(row["judged"].item()),
                "saved": f"{row['saved'].item():,}",
                "lost": f"{row['lost'].item():,}",
            }
        )
    side = "over" if indicator.healthy_above else "under"
    condition = f"{indicator.name} is {side} {indicator.threshold:g} {consecutive} times in a row"
    head = f"reset unless {condition}"
    wrong = int((found["judged"] == "wrong").sum())
    tail = f"wrong on {wrong} of {int((found['judged'] != 'open').sum())} decided runs"
    if "p" in found:
        p, n = found["p"].item(), found["n"].item()
        low, high = found["success_low"].item(), found["success_high"].item()
        tail += (
            f"; p = {p:.2f} reset, n = {n} attempts: {found['success'].item():.3f} of runs pass it "
            f"(1 - p^n; 95% interval {low:.3f} to {high:.3f})"
        )
        keeps = found["decided"].values & (found["fired"].values < 0)
        missed = int((keeps & (found["judged"].values == "wrong")).sum())
        if missed:
            tail += f", but {missed} of the {int(keeps.sum())} that it keeps stay stuck"
    return f"{head}\n\n{aligned(rows)}\n\n{tail}"


def to_json(found: xr.Dataset) -> str:
    """The arithmetic, and one object a run."""
    scalars = {str(k): v.item() for k, v in found.data_vars.items() if not v.dims}
    rows = [
        {"run": name, **{str(k): found[k].values.tolist()[at] for k in found if found[k].dims}}
        for at, name in enumerate(found["run"].values.tolist())
    ]
    return json.dumps({**scalars, "runs": rows}, indent=1)
