"""`vrlprobe contrast`: are bad runs' probes worse in the MLP than in the encoder?"""

import json
from pathlib import Path
from typing import Any, cast, get_args

import click
import numpy as np
import xarray as xr

from vrlprobe._text import aligned
from vrlprobe.analyses._contrast import MEAN, By, Score
from vrlprobe.analyses._contrast import contrast as study
from vrlprobe.cli.common import (
    FILE,
    check_writable,
    class_options,
    split_list,
    warnings_on_stderr,
    write_result,
)
from vrlprobe.cli.inputs import result, results
from vrlprobe.results.schemas.contrast import MEASURES
from vrlprobe.runs.output import result_kind

UNITS = {"log_mse": "log test error", "r2": "R²"}
"""The scores as the tables call them."""


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=FILE)
@click.option(
    "--by", default="class", show_default=True, type=click.Choice(get_args(By)),
    help="Groups: good and bad runs by return, or runs in and out of collapse (--cohort).",
)  # fmt: skip
@click.option(
    "--cohort", "cohort_path", type=FILE,
    help="Result of `vrlprobe cohort` on the same runs, for --by verdict.",
)  # fmt: skip
@click.option("--frame", type=click.IntRange(0), help="Frame to compare.  [default: the last]")
@click.option(
    "--components", help="Comma-separated components to average and test.  [default: all averaged]"
)
@click.option(
    "--reference", help="Layer to contrast the others with.  [default: the last convolution]"
)
@click.option(
    "--score", default="log_mse", show_default=True, type=click.Choice(get_args(Score)),
    help="Compare log test errors, or R².",
)  # fmt: skip
@click.option(
    "--plan", type=float, metavar="SIZE",
    help="Count the runs per group that show a contrast of this size with 80% power.",
)  # fmt: skip
@class_options
@click.option("--seed", default=0, show_default=True, help="Random seed of the bootstrap.")
@click.option("-o", "--output", type=FILE, help="Result file (NetCDF).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def contrast(
    inputs: tuple[Path, ...],
    by: str,
    cohort_path: Path | None,
    frame: int | None,
    components: str | None,
    reference: str | None,
    score: str,
    plan: float | None,
    good: float | None,
    bad: float | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Test whether bad runs are probed worse in the MLP than in the encoder.

    INPUTS are results of `vrlprobe probe RUN… -o NAME.probe.nc`. For each layer: the gap of bad
    to good runs, the same minus the gap at cnn4, and the rank correlation with the return.

    \b
    vrlprobe contrast desk.probe.nc
    vrlprobe contrast desk.probe.nc --by verdict --cohort desk.cohort.nc --frame 30000
    """
    if by == "class" and cohort_path:
        raise click.UsageError("--cohort has the verdicts: give --by verdict, too")
    if by == "verdict" and not (cohort_path and good is None and bad is None):
        raise click.UsageError("--by verdict needs --cohort, and no --good or --bad")
    if output:
        check_writable(output, result_kind("contrast"))
    cohort = results([cohort_path], "cohort")[str(cohort_path)] if cohort_path else None
    with warnings_on_stderr():
        found = study(
            result(inputs, "probe"), by=cast(By, by), cohort=cohort, frame=frame,
            components=split_list(components), reference=reference, score=cast(Score, score),
            plan=plan, good=good, bad=bad, seed=seed,
        )  # fmt: skip
    if output:
        write_result(found, output)
        click.echo(f"wrote {output}", err=True)
    click.echo(to_json(found) if as_json else describe(found))


def describe(found: xr.Dataset) -> str:
    """A table a component with a row a layer, and how to read it."""
    arguments = json.loads(found.attrs["arguments"])
    groups = ", ".join(
        f"{int(found['n_runs'].sel(group=group))} {group}" for group in found["group"].values
    )
    frame = "the last frame" if arguments["frame"] is None else f"frame {arguments['frame']:,}"
    base, other = found.attrs["base"], found.attrs["other"]
    unit = UNITS[arguments["score"]]
    parts = [f"{found.sizes['run']} runs at {frame}: {groups}"]
    for name in found["component"].values.tolist():
        count = found.attrs["n_components"]
        what = f"mean over {count} components" if name == MEAN else name
        parts.append(f"{unit}, {what}\n{_table(found.sel(component=name))}")
    parts.append(
        f"gap: {other} minus {base}; contrast: that minus the gap at {found.attrs['reference']};\n"
        "correlation: Spearman's with the return at the end; in brackets 95% bootstrap intervals.\n"
        "p: permutation tests, of one layer, and corrected for the layers (Holm)"
    )
    if "runs_needed" in found:
        parts.append(
            f"runs needed: per group for a contrast of {arguments['plan']:g}, 80% power at p < "
            "0.05, by the noncentral\nt distribution; of one layer, and as the first of all (Holm)"
        )
    return "\n\n".join(parts)


def _table(part: xr.Dataset) -> str:
    rows = []
    for layer in part["layer"].values.tolist():
        here = part.sel(layer=layer)
        if here["p"].isnull().all():
            continue
        row = {"layer": layer}
        for measure in MEASURES:
            row[measure] = _bounds(here["value"].sel(measure=measure).values)
            row[f"p ({measure})"] = _p(here.sel(measure=measure))
        if "runs_needed" in part:
            needed = int(here["runs_needed"]), int(here["runs_needed_holm"])
            row["runs needed"] = f"{needed[0]}, {needed[1]}" if needed[0] > 0 else "-"
        rows.append(row)
    return aligned(rows)


def _bounds(values: np.ndarray[Any, Any]) -> str:
    """An estimate with its interval, where it has one."""
    estimate, low, high = values
    if estimate != estimate:
        return "-"
    return f"{estimate:+.2f}" + (f" ({low:+.2f} to {high:+.2f})" if low == low else "")


def _p(here: xr.Dataset) -> str:
    p, corrected = here["p"].item(), here["p_holm"].item()
    return "-" if p != p else f"{p:.2g}, {corrected:.2g}"


def to_json(found: xr.Dataset) -> str:
    """The result as JSON: its attributes, groups and runs, and one record a tested layer."""
    records = []
    for component in found["component"].values.tolist():
        for layer in found["layer"].values.tolist():
            part = found.sel(component=component, layer=layer)
            records += _records(part, {"component": component, "layer": layer})
    groups = {str(g): int(found["n_runs"].sel(group=g)) for g in found["group"].values}
    whole = {
        "base": found.attrs["base"],
        "other": found.attrs["other"],
        "reference": found.attrs["reference"],
        "left_out": json.loads(found.attrs["left_out"]),
        "arguments": json.loads(found.attrs["arguments"]),
        "groups": groups,
        "of_group": dict(zip(found["run"].values, found["of_group"].values, strict=True)),
        "records": records,
    }
    return json.dumps(whole, indent=1)


def _records(part: xr.Dataset, where: dict[str, str]) -> list[dict[str, Any]]:
    records = []
    for measure in MEASURES:
        here = part.sel(measure=measure)
        if here["p"].isnull():
            continue
        bounds = dict(zip(here["bound"].values.tolist(), here["value"].values, strict=True))
        record: dict[str, Any] = {**where, "measure": measure}
        record |= {name: None if value != value else float(value) for name, value in bounds.items()}
        record |= {name: float(here[name]) for name in ("p", "p_holm")}
        if measure == "contrast" and "runs_needed" in part:
            record |= {name: int(here[name]) for name in ("runs_needed", "runs_needed_holm")}
        records.append(record)
    return records
