"""`vrlprobe verify`: is every byte of a run as it was written."""

import dataclasses
import json
import sys

import click

from vrlprobe.cli.run_name import RunName
from vrlprobe.runs.verify import Report, verify_run


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RunName(), metavar="RUN...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object per run.")
def verify(runs: tuple[str, ...], as_json: bool) -> None:
    """Check every checksum, digest and shape in runs; exit 1 if anything is wrong."""
    reports = [verify_run(path) for path in runs]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(report) for report in reports], indent=2))
    else:
        for report in reports:
            _print(report)
    if any(report.problems for report in reports):
        sys.exit(1)


def _print(report: Report) -> None:
    if not report.problems:
        checkpoints = "checkpoint" if report.checkpoints == 1 else "checkpoints"
        click.echo(
            f"{report.path}: good ({report.state}, {report.checkpoints} {checkpoints}, "
            f"{report.chunks} chunks, {report.size} bytes)"
        )
    for problem in report.problems:
        click.echo(problem if report.path in problem else f"{report.path}: {problem}", err=True)
