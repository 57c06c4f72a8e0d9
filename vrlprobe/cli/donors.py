"""Options of the commands that draw donors."""

from collections.abc import Callable
from typing import Any

import click

from vrlprobe.cli.common import FILE

OPTIONS = (
    click.option(
        "--runs", type=FILE, default="runs", show_default=True,
        help="Folder whose finished runs good, middle and bad donors are drawn from.",
    ),
    click.option("--task", help="Of those runs, where there are several tasks."),
    click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True,
        help="Of the draw and of blank networks.",
    ),
    click.option(
        "--pair", type=click.Choice(["same", "different"]), default="same", show_default=True,
        help="Whether CNN and MLP of one class come from one agent or from two.",
    ),
    click.option(
        "--good-return", "good", type=float, help="Good from here on.  [default: its profile's]"
    ),
    click.option(
        "--bad-return", "bad", type=float, help="Bad up to here.  [default: its profile's]"
    ),
)  # fmt: skip


def donor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where donors are drawn from and how."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
