"""`vrlprobe info`: what is inside runs."""

import json
import sys
from typing import Any

import click

from vrlprobe._text import aligned, byte_size, listed
from vrlprobe.cli.run_name import RunName
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.summary import summarise


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RunName(), metavar="RUN...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object per run.")
def info(runs: tuple[str, ...], as_json: bool) -> None:
    """Show what is inside runs: one run as a list, several as the rows of a table.

    A run may be growing, killed or sealed; of a growing one, what is committed so far is shown.
    """
    found = [summary for path in runs if (summary := _summary(path)) is not None]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif len(runs) == 1 and found:
        click.echo(listed(_details(found[0])))
    elif found:
        click.echo(aligned([_row(summary) for summary in found]))
    if len(found) < len(runs):
        sys.exit(1)


def _summary(path: str) -> dict[str, Any] | None:
    try:
        with open_run(path) as run:
            return summarise(run)
    except VrlprobeError as error:
        click.echo(f"vrlprobe: {error}", err=True)
        return None


def _row(summary: dict[str, Any]) -> dict[str, str]:
    names = ("task", "seed", "profile", "architecture", "checkpoints")
    return {
        "run": summary["path"],
        **{name: _text(summary[name]) for name in names},
        "last frame": _text(summary["last_frame"]),
        "return": _text(summary["return_at_end"]),
        "best": _text(summary["best_return"]),
        "size": byte_size(summary["size"]),
        "state": _state(summary),
    }


def _state(summary: dict[str, Any]) -> str:
    """Sealed, growing or killed, and where a training stopped that is not at its end."""
    if summary["finished"] or summary["last_due"] is None or summary["state"] == "growing":
        return str(summary["state"])
    return f"{summary['state']}, stopped before {summary['last_due']}"


def _details(summary: dict[str, Any]) -> dict[str, str]:
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    first, last = _text(summary["first_frame"]), _text(summary["last_frame"])
    episodes, pictured = summary["episodes"], summary["episodes_with_images"]
    best = _text(summary["best_return"])
    items = {
        "run": summary["path"],
        **{name: _text(summary[name]) for name in ("task", "seed", "profile", "architecture")},
        "parameters": _text(summary["parameters"]),
        "checkpoints": f"{summary['checkpoints']}, frames {first} to {last}",
        "rollouts": f"{episodes} episodes, {pictured} with images",
        "components": ", ".join(summary["components"]) or "-",
        "return": "-"
        if summary["best_frame"] is None
        else f"{_text(summary['return_at_end'])} at the end, best {best}"
        f" at frame {_text(summary['best_frame'])}",
        "versions": versions or "-",
        "size": byte_size(summary["size"]),
        "state": _state(summary),
    }
    items |= {"made of": "; ".join(summary["made_of"])} if summary["made_of"] else {}
    steps = [f"{step['operation']} of {step['file']}" for step in summary["origin"]]
    return {**items, **({"origin": ", then ".join(steps)} if steps else {})}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
