"""What the figures' commands share: their options, and writing what was drawn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vrlprobe.cli.common import FILE, check_writable, forced
from vrlprobe.figures import Plot
from vrlprobe.figures.style import check_kind, figure_kind

Command = Callable[..., Any]


def figure_options(command: Command) -> Command:
    """The input and output that every figure has."""
    for decorate in (
        click.option(
            "-o", "--output", type=FILE, required=True, help="Figure: .pdf, .png or .svg."
        ),
        click.option("--data", type=FILE, help="Also save the plotted numbers (NetCDF)."),
        click.argument("inputs", nargs=-1, required=True, type=FILE),
    ):
        command = decorate(command)
    return command


def components_option(command: Command) -> Command:
    """Which components of the state to draw."""
    return click.option("--components", help="Comma-separated components of the state.")(command)


def runs_option(command: Command) -> Command:
    """Which runs to draw, in this order."""
    return click.option("--runs", help="Comma-separated runs, in drawing order.  [default: all]")(
        command
    )


def layers_option(command: Command) -> Command:
    """Which layers to draw."""
    return click.option("--layers", help="Comma-separated layers.  [default: all]")(command)


def finish(drawn: Plot, output: Path, data: Path | None) -> None:
    """Write the figure, and the numbers behind it where they are wanted."""
    drawn.save(output, data, force=forced())
    click.echo(f"wrote {output}", err=True)
    if data:
        click.echo(f"wrote {data}", err=True)


def check_output(output: Path, data: Path | None) -> None:
    """Raise FormatError where the figure cannot be written, before the work is done."""
    check_kind(output)
    check_writable(output, figure_kind(output))
    if data:
        check_writable(data, "a result")
