"""`vrlprobe salvage`: make killed runs whole."""

import json
import sys
from typing import Any

import click

from vrlprobe.cli.run_name import RunName
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.salvage import salvage_run


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RunName(), metavar="RUN...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object per run.")
def salvage(runs: tuple[str, ...], as_json: bool) -> None:
    """Turn killed runs into sealed ones that keep every committed checkpoint.

    A sealed run is left alone; a growing one is refused. Needs free disk space for a copy.
    """
    results = [_salvage(path) for path in runs]
    if as_json:
        click.echo(json.dumps(results, indent=2))
    else:
        for result in results:
            click.echo(f"{result['path']}: {result['message']}", err=not result["ok"])
    if not all(result["ok"] for result in results):
        sys.exit(1)


def _salvage(path: str) -> dict[str, Any]:
    try:
        count = salvage_run(path)
    except VrlprobeError as error:
        message = str(error).removeprefix(f"{path}: ")
        return {"path": path, "ok": False, "checkpoints": None, "message": message}
    message = "sealed already, left alone" if count is None else f"{count} checkpoints salvaged"
    return {"path": path, "ok": True, "checkpoints": count, "message": message}
