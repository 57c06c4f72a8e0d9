"""`vrlprobe forecast`: how early a run's outcome can be predicted, and from which metric."""

from pathlib import Path

import click
import numpy as np
import xarray as xr

from vrlprobe._text import aligned
from vrlprobe.analyses._forecast import BLIND, OUTCOMES, Outcome
from vrlprobe.analyses._forecast import forecast as study
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    class_options,
    window_option,
    write_result,
)
from vrlprobe.cli.inputs import results
from vrlprobe.runs.output import result_kind
from vrlprobe.samples.selection import choose
from vrlprobe.stats.threshold import SHUFFLES

ROWS = 16
"""Frames in the table, evenly spaced, the first and the last among them."""


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option(
    "--outcome", type=click.Choice(OUTCOMES), default=OUTCOMES[0], show_default=True,
    help="The outcome to predict.",
)  # fmt: skip
@click.option(
    "--metrics", "measured", type=FILE, metavar="FILE",
    help="Result of `vrlprobe metrics` on the same runs: try its metrics as well.",
)  # fmt: skip
@click.option(
    "--show",
    "metric",
    metavar="METRIC",
    help="Show this metric at each frame instead of the best one.",
)
@class_options
@window_option
@click.option("--seed", default=0, show_default=True, help="Random seed of the shuffles for p.")
@click.option("-o", "--output", type=FILE, help="Result file (NetCDF).")
def forecast(
    runs: tuple[Path, ...],
    outcome: Outcome,
    measured: Path | None,
    metric: str | None,
    good: float | None,
    bad: float | None,
    window: int | None,
    seed: int,
    output: Path | None,
) -> None:
    """Show how early, and from which metric, one can predict which runs will end stuck.

    RUNS are finished run files or records of one task, trained without the reset rule. Every logged
    metric is tried at every frame: each run is judged by the threshold that is best for the others.
    """
    if outcome == OUTCOMES[0] and (good is not None or bad is not None):
        raise click.UsageError("--good and --bad are of returns: give --outcome, too")
    if output:
        check_writable(output, result_kind("foretell"))
    table = results([measured], "metrics")[str(measured)] if measured else None
    with Session() as session:
        found = study(
            session.logged(runs),
            table,
            outcome=outcome,
            good=good,
            bad=bad,
            window=window,
            seed=seed,
        )
    if metric:
        choose([metric], found["metric"].values.tolist(), "metric")
    if output:
        write_result(found, output)
        click.echo(f"wrote {output}", err=True)
    click.echo(describe(found, outcome, metric))


def describe(found: xr.Dataset, outcome: str, metric: str | None = None) -> str:
    """A row a frame: the best metric there, or one, and what judging by it would have done."""
    badly = int(found["ends_badly"].sum())
    counts = [f"{badly} of {found.sizes['run']} runs end {outcome}"]
    last = found.sizes["frame"] - 1
    rows = [
        _row(found.isel(frame=at), outcome, metric)
        for at in np.unique(np.linspace(0, last, min(ROWS, last + 1)).round().astype(int))
    ]
    notes = [
        f"found: of the runs that end {outcome}; false: of the others. Each run is judged by the",
        f"threshold that is best for the others; {BLIND}: by the metric best for them, too.",
        "The best of many metrics is partly luck: trust a metric that you named beforehand",
        f"(--show), or {BLIND}. saved: share of all frames, had the runs found been stopped.",
        f"p: share of the true ends and {SHUFFLES} ways to shuffle them over the runs that are",
        "told as well or better; each frame by itself: one in twenty is under 0.05 by luck.",
    ]
    return "\n\n".join([*counts, aligned(rows), "\n".join(notes)])


def _row(here: xr.Dataset, outcome: str, metric: str | None) -> dict[str, str]:
    named = here.drop_sel(metric=BLIND)
    best = int(np.argmax(named["accuracy"].fillna(-1).values))
    name = metric or str(named["metric"].values[best])
    one, blind = here.sel(metric=name), here.sel(metric=BLIND)
    return {
        "frame": f"{here['frame'].item():,}",
        f"{BLIND}: found": _found(blind),
        f"{BLIND}: false": _false(blind),
        f"{BLIND}: saved": _number(blind["saved"].item(), ".0%"),
        f"{BLIND}: p": _number(blind["p"].item(), ".2g"),
        "metric" if metric else "best": name if one["n_runs"].item() else "too few runs",
        f"{outcome} if": _threshold(one),
        "found": _found(one),
        "false": _false(one),
        "saved": _number(one["saved"].item(), ".0%"),
        **({"p": _number(one["p"].item(), ".2g")} if metric else {}),
    }


def _found(one: xr.Dataset) -> str:
    return f"{one['found'].item()} of {one['n_bad'].item()}" if one["n_runs"].item() else ""


def _false(one: xr.Dataset) -> str:
    others = one["n_runs"].item() - one["n_bad"].item()
    return f"{one['false'].item()} of {others}" if one["n_runs"].item() else ""


def _threshold(one: xr.Dataset) -> str:
    value = one["threshold"].item()
    if np.isnan(value):
        return ""
    return f"{'over' if one['bad_above'].item() else 'under'} {value:.2g}"


def _number(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)
