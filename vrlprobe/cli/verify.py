"""`vrlprobe verify`: is every byte of a run as it was written."""

import dataclasses
import json
import sys

import click

from vrlprobe._text import escaped
from vrlprobe.cli.run_name import RunName
from vrlprobe.runs.verify import Report, verify_isolated, verify_run


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RunName(), metavar="RUN...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object per run.")
@click.option(
    "--isolated", is_flag=True,
    help="Read each run in a process of its own, whose crash is a finding: for files that you do "
    "not trust.",
)  # fmt: skip
def verify(runs: tuple[str, ...], as_json: bool, isolated: bool) -> None:
    """Check every checksum, digest and shape in runs; exit 1 if anything is wrong."""
    reports = [verify_isolated(path) if isolated else verify_run(path) for path in runs]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(report) for report in reports], indent=2))
    else:
        for report in reports:
            _print(report)
    if any(report.problems or report.doubts for report in reports):
        sys.exit(1)


def _print(report: Report) -> None:
    path = escaped(report.path)
    found = [*report.problems, *report.doubts]
    if not found:
        checkpoints = "checkpoint" if report.checkpoints == 1 else "checkpoints"
        click.echo(
            f"{path}: good ({report.state}, {report.checkpoints} {checkpoints}, "
            f"{report.chunks} chunks, {report.size} bytes)"
        )
        return
    first, *more = found
    told = first if path in first else f"{path}: {first}"
    click.echo(f"{told} (and {len(more)} more: --json)" if more else told, err=True)
