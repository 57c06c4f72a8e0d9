"""Options of the commands that draw donors."""

from collections.abc import Callable
from typing import Any

import click

from vrlprobe.analyses.shared.donors import WORDS
from vrlprobe.cli.common import FILE
from vrlprobe.cli.run_name import RunName

DONOR = RunName(*WORDS)
OPTIONS = (
    click.option(
        "--runs", type=FILE, default="runs", show_default=True,
        help="Folder of the finished runs from which good, middle and bad donors are drawn.",
    ),
    click.option("--task", help="Task of those runs, if there are several."),
    click.option(
        "--seed", type=click.IntRange(0), default=0, show_default=True,
        help="Random seed of the draw and of blank networks.",
    ),
    click.option(
        "--pair", type=click.Choice(["same", "different"]), default="different",
        show_default=True,
        help="Whether a CNN and an MLP of one class come from one agent or, as in the paper, two.",
    ),
    click.option(
        "--good-return", "good", type=float,
        help="Return from which a donor counts as good.  [default: the profile's]",
    ),
    click.option(
        "--bad-return", "bad", type=float,
        help="Return at or below which a donor counts as bad.  [default: the profile's]",
    ),
)  # fmt: skip


def donor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where donors are drawn from and how."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
