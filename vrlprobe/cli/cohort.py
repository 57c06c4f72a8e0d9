"""`vrlprobe cohort`: how a set of runs did, and how many stayed stuck."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from vrlprobe._text import aligned
from vrlprobe.analyses import cohort as study
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    class_options,
    samples_option,
    threshold_option,
    window_option,
    write_result,
)
from vrlprobe.errors import SampleError
from vrlprobe.report.summary import ON_COLLAPSE, median_text, summary
from vrlprobe.runs.output import result_kind
from vrlprobe.runs.reader import Run
from vrlprobe.runs.record import Record, write_record


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@class_options
@window_option
@click.option(
    "--by", metavar="SETTING",
    help="Count by a setting of the runs: init (the transplant they started from), hidden_dim, …",
)  # fmt: skip
@threshold_option
@click.option("--seed", default=0, show_default=True, help="Random seed of the bootstrap.")
@click.option("-o", "--output", type=FILE, help="Result file (NetCDF).")
@click.option(
    "--record", "folder", type=FILE, metavar="DIR",
    help="Save each finished run's settings, log and returns in DIR, a few kB each.",
)  # fmt: skip
@samples_option
@click.option("--keep-own", is_flag=True, help="Keep the runs' own episodes in their test sets.")
def cohort(
    runs: tuple[Path, ...],
    good: float | None,
    bad: float | None,
    window: int | None,
    by: str | None,
    threshold: float | None,
    seed: int,
    output: Path | None,
    folder: Path | None,
    sample_paths: tuple[Path, ...],
    keep_own: bool,
) -> None:
    """Count good, middle, bad and stuck RUNS, and average their returns.

    RUNS are run files, or records (.json) of finished runs. With --record and --samples,
    the records also hold metrics and probes of the last checkpoint on these samples.
    """
    if sample_paths and not folder:
        raise click.UsageError("--samples is for the records: name their folder with --record")
    if keep_own and not sample_paths:
        raise click.UsageError("--keep-own is for probes of the records: give --samples")
    with Session() as session:
        opened = session.logged(runs)
        if output:
            check_writable(output, result_kind("cohort"))
        if folder and not folder.is_dir():
            raise SampleError(f"there is no folder {folder} for the records: make it first")
        found = study(
            opened, good=good, bad=bad, window=window, by=by, threshold=threshold, seed=seed
        )
        if folder:
            from vrlprobe.analyses._record import (
                full_record,  # with networks: takes seconds
            )

            samples = session.samples(sample_paths)
            if given := sum(not isinstance(run, Run) for run in opened):
                click.echo(f"{given} of the inputs are records already: left alone", err=True)
            for run in opened:
                if isinstance(run, Run):
                    click.echo(
                        f"wrote {keep(full_record(run, samples, keep_own=keep_own), folder)}",
                        err=True,
                    )
        if output:
            write_result(found, output)
            click.echo(f"wrote {output}", err=True)
    click.echo(describe(found))


def keep(record: Record, folder: Path) -> Path:
    """Write a record under a name that its settings determine."""
    config = record.config
    label = f"{config.get('task')}-{config.get('profile')}-seed{config.get('seed')}"
    path = folder / f"{label}-{record.key[:8]}.json"
    write_record(record, path)
    return path


def describe(found: xr.Dataset) -> str:
    """A row a run, then counts and aggregates."""
    rows = []
    for at in range(found.sizes["run"]):
        row = {name: found[name].values[at] for name in found if found[name].dims == ("run",)}
        since = f" {row['since']:,}" if row["since"] >= 0 else ""
        rows.append(
            {
                "run": str(found["run"].values[at]),
                "task": row["task"],
                "seed": str(row["seed"]) if row["seed"] >= 0 else "-",
                "return": f"{row['final_return']:.0f}",
                "class": row["class"],
                "on collapse": f"{row['verdict']}{since}{_where(row)}",
                "attempts": str(row["attempts"]),
                "": "" if row["finished"] else "not finished",
            }
        )
    tables = [aligned(rows), *([_groups(found)] if "group" in found.dims else [])]
    return "\n\n".join([*tables, f"{summary(found)}\n{ON_COLLAPSE}"])


def _where(row: Mapping[Any, Any]) -> str:
    """That an undecided run stands in collapse; what else it may be, the other words say."""
    return ", in collapse" if row["verdict"] == "undecided" and np.isinf(row["out"]) else ""


def _groups(found: xr.Dataset) -> str:
    """A row a group: how many runs succeeded, with the interval of their share."""
    rows = []
    for label in found["group"].values.tolist():
        group = found.sel(group=label)
        low, high = group["success"].values[1:]
        rows.append(
            {
                str(found.attrs["by"]): label,
                "runs": str(int(group["runs"])),
                "good": str(int(group["successes"])),
                "95% interval": f"{low:.0%} to {high:.0%}",
                "stuck": str(int(group["stuck"])),
                "in collapse at the end": str(int(group["ends_in_collapse"])),
            }
            | (
                {
                    "mean return": f"{float(group['mean_return']):.0f}",
                    "over training": f"{float(group['mean_area_under_curve']):.0f}",
                }
                if found.sizes["each_task"] == 1  # the returns of several have no common unit
                else {}
            )
            | {"median frames to threshold": median_text(group["median_frames"].values.tolist())}
        )
    return aligned(rows)
