"""How a training shows where it stands: a live line on a terminal, else a line a checkpoint."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from trainers.profiles import TrainConfig


@contextmanager
def progress_of(
    config: TrainConfig, path: Path, scratch: Path | None
) -> Iterator[Callable[[Any], None]]:
    """Progress on stderr; an interrupt ends with how to go on and exit status 130."""
    from rich.console import Console

    console = Console(stderr=True)
    total = config.evaluation_frames[-1]
    try:
        with _live_line(console, total) if console.is_terminal else _log_lines(total) as show:
            yield show
    except KeyboardInterrupt:
        begun = path if scratch is None else scratch / path.name
        option = "" if scratch is None else f" --scratch {scratch}"
        hint = f"; continue with: vrltrain resume {path}{option}" if begun.exists() else ""
        click.echo(f"stopped{hint}", err=True)
        sys.exit(130)


@contextmanager
def _live_line(console: Any, total: int) -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} frames"),
        BarColumn(),
        TextColumn("return {task.fields[returned]:.0f}{task.fields[attempt]}"),
        TextColumn("{task.fields[rate]:.0f} frames/s  left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as bar:
        nan = float("nan")
        line = bar.add_task("", total=total, returned=nan, rate=nan, attempt="")

        def show(training: Any) -> None:
            speed = bar.tasks[0].speed or float("nan")
            returned = training.last_return
            bar.update(
                line,
                completed=training.frame,
                returned=returned,
                rate=speed,
                attempt=_attempt(training),
            )

        yield show


def _attempt(training: Any) -> str:
    """Which attempt it is, once the rule has reset one."""
    number = training.attempt.number
    return f", attempt {number}" if number > 1 else ""


@contextmanager
def _log_lines(total: int) -> Iterator[Callable[[Any], None]]:
    """One line a checkpoint, for log files."""
    seen = 0

    def show(training: Any) -> None:
        nonlocal seen
        if training.checkpoints > seen:
            seen = training.checkpoints
            rate = "" if math.isnan(training.rate) else f", {training.rate:.0f} frames/s"
            returned = f"return {training.last_return:.0f}"
            line = f"{training.frame:,}/{total:,} frames, {returned}{rate}{_attempt(training)}"
            click.echo(line, err=True)

    yield show
