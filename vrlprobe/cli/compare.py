"""`vrlprobe compare`: does a change help?"""

from pathlib import Path

import click
import xarray as xr

from vrlprobe._text import aligned
from vrlprobe.analyses._compare import SHARES
from vrlprobe.analyses._compare import compare as study
from vrlprobe.cli.common import (
    FILE,
    check_writable,
    threshold_option,
    write_result,
)
from vrlprobe.cli.inputs import named, names_option
from vrlprobe.report.summary import median_text
from vrlprobe.results.schemas.compare import MEASURES
from vrlprobe.runs.output import result_kind
from vrlprobe.stats.bootstrap import FEWEST

WORDS = {
    "return": "return",
    "interquartile_return": "interquartile mean",
    "good": "good",
    "in_collapse": "in collapse",
    "collapse_frames": "frames until out",
    "threshold_frames": "frames to threshold",
    "area_under_curve": "return over training",
}
"""The measures as the table calls them."""


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=FILE)
@names_option
@click.option(
    "--frame", type=click.IntRange(0),
    help="Frame to compare at.  [default: the last at which all runs were evaluated]",
)  # fmt: skip
@click.option(
    "--evaluations", default=1, show_default=True, type=click.IntRange(1),
    help="Average each run's return over this many evaluations up to that frame.",
)  # fmt: skip
@click.option(
    "--good", type=float, help="Return from which a run counts as good.  [default: the runs' own]"
)
@threshold_option
@click.option("--seed", default=0, show_default=True, help="Random seed of the bootstrap.")
@click.option("-o", "--output", type=FILE, help="Result file (NetCDF).")
def compare(
    inputs: tuple[Path, ...],
    names: str | None,
    frame: int | None,
    evaluations: int,
    good: float | None,
    threshold: float | None,
    seed: int,
    output: Path | None,
) -> None:
    """Compare cohorts with the first one: returns, good runs, speed, and time in collapse.

    INPUTS are results of `vrlprobe cohort RUN… -o NAME.nc`: first the one without the change, then
    those with it. Cohorts with exactly the same seeds are compared in pairs, others as independent
    runs; two cohorts that share a run must have the same seeds.
    """
    if output:
        check_writable(output, result_kind("compare"))
    found = study(
        named(inputs, "cohort", names), frame=frame, evaluations=evaluations, good=good,
        threshold=threshold, seed=seed,
    )  # fmt: skip
    if output:
        write_result(found, output)
        click.echo(f"wrote {output}", err=True)
    click.echo(describe(found))


def describe(found: xr.Dataset) -> str:
    """A table for each task and cohort, and where its figures come from."""
    cells = [
        found.sel(task=task, cohort=name)
        for task in found["task"].values
        for name in found["cohort"].values
    ]
    cells = [cell for cell in cells if cell["frame"] >= 0]
    parts = [_table(cell, str(found.attrs["first"])) for cell in cells]
    parts += [
        f"in brackets 95% intervals, of means from {FEWEST} runs on; frames until out of\n"
        "collapse and to the threshold are cut off at the frame; p, two-sided: Wilcoxon\n"
        "signed-rank and McNemar's exact test for pairs, otherwise Mann-Whitney and Fisher's\n"
        "exact test; of frames to the threshold, a permutation test of the mean"
    ]
    if any(cell["base"].sel(bound="estimate").isnull().any() for cell in cells):
        parts.append(
            "?: there is a run of which it is not known whether it is in collapse at the frame:\n"
            "its verdict is undecided, or its updates begin later"
        )
    return "\n\n".join(parts)


def _table(cell: xr.Dataset, first: str) -> str:
    name = str(cell["cohort"].item())
    counts = f"{cell['n_base'].item()} runs of {first}, {cell['n_other'].item()} of {name}"
    how = "paired by seed" if cell["paired"] else "independent"
    head = f"{cell['task'].item()} at frame {cell['frame'].item():,}: {counts}, {how}"
    rows = []
    for measure in MEASURES:
        here = cell.sel(measure=measure)
        form = ".0%" if measure in SHARES else ",.0f"
        p = here["p"].item()
        rows.append(
            {
                "": WORDS[measure],
                first: _bounds(here["base"], form),
                name: _bounds(here["other"], form),
                "difference": _bounds(here["difference"], f"+{form}"),
                "p": ("" if here["base"][0] == here["base"][0] else "?") if p != p else f"{p:.2g}",
            }
        )
    chance = _bounds(cell["improvement"], ".2f")
    medians = [
        median_text(cell[f"{side}_median_frames"].values.tolist()) for side in ("base", "other")
    ]
    return (
        f"{head}\n{aligned(rows)}\n"
        f"probability that a run of {name} returns more than one of {first}: {chance}\n"
        f"median frames to a return of {cell['threshold'].item():g} (Kaplan-Meier): {first} "
        f"{medians[0]}, {name} {medians[1]}"
    )


def _bounds(values: xr.DataArray, form: str) -> str:
    """An estimate with its interval, where it has one: `+12 (-3 to +27)`."""
    estimate, low, high = values.values.tolist()
    if estimate != estimate:
        return "?"
    interval = f" ({low:{form}} to {high:{form}})" if low == low else ""
    return f"{estimate:{form}}{interval}"
