"""How trainings show where they stand: live lines on a terminal, else a line a checkpoint."""

import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from vrlprobe.runs.reader import open_run
from vrltrain.config.settings import TrainConfig

if TYPE_CHECKING:
    from vrltrain.sweep import Standing


@contextmanager
def progress_of(
    config: TrainConfig, path: Path, scratch: Path | None, place: Path
) -> Iterator[Callable[[Any], None]]:
    """Progress on stderr; an interrupt ends with how to go on and exit status 130.

    Args:
        config: the run's settings.
        path, scratch: as they were given, to be given again.
        place: where the run is written until it is finished.
    """
    from rich.console import Console

    console = Console(stderr=True)
    total = config.evaluation_frames[-1]
    try:
        with _live_line(console, total) if console.is_terminal else _log_lines(total) as show:
            yield show
    except KeyboardInterrupt:
        option = "" if scratch is None else f" --scratch {scratch}"
        hint = "; it has no checkpoint yet, nothing was kept"
        if place.exists():
            hint = f"; continue with: vrltrain resume {path}{option}"
        click.echo(f"stopped{hint}", err=True)
        sys.exit(130)


@contextmanager
def _live_line(console: Any, total: int) -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} frames"),
        BarColumn(),
        TextColumn("return {task.fields[returned]:.0f}{task.fields[told]}"),
        TextColumn("{task.fields[rate]:.0f} frames/s  left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as bar:
        nan = float("nan")
        line = bar.add_task("", total=total, returned=nan, rate=nan, told="")

        def show(training: Any) -> None:
            speed = bar.tasks[0].speed or float("nan")
            returned = training.last_return
            bar.update(
                line,
                completed=training.frame,
                returned=returned,
                rate=speed,
                told=_attempt(training.attempt.number) + _evaluated(training),
            )

        yield show


def _attempt(number: int) -> str:
    """Which attempt it is, once the rule has reset one."""
    return f", attempt {number}" if number > 1 else ""


def _evaluated(training: Any) -> str:
    """How far an evaluation is: with many episodes it takes minutes."""
    played, episodes = training.evaluated, training.evaluating
    return f", evaluated {played}/{episodes}" if episodes else ""


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
            attempt = _attempt(training.attempt.number)
            click.echo(f"{training.frame:,}/{total:,} frames, {returned}{rate}{attempt}", err=True)

    yield show


class SweepProgress(Protocol):
    """Shows where the runs of a sweep stand, on stderr."""

    def show(self, standings: "Mapping[Path, Standing]") -> None:
        """Of those that have begun."""

    def end(self, path: Path) -> None:
        """One is done, or failed."""


@contextmanager
def sweep_progress(
    configs: Mapping[Path, TrainConfig], console: Any = None
) -> Iterator[SweepProgress]:
    """Progress of a sweep, a table on a terminal, else a line whenever something has changed.

    Args:
        configs: of the runs, by their files.
        console: where a terminal's table goes; stderr if None.
    """
    from rich.console import Console

    console = console or Console(stderr=True)
    totals = {path: config.evaluation_frames[-1] for path, config in configs.items()}
    if not console.is_terminal:
        yield _SweepLines(totals)
        return
    table = _SweepTable(totals, console)
    with table.bars:
        yield table


class _SweepLines:
    """A line whenever a run has a checkpoint more, for log files."""

    def __init__(self, totals: Mapping[Path, int]) -> None:
        self.totals, self.ended = totals, set[Path]()
        self.last = ""

    def show(self, standings: "Mapping[Path, Standing]") -> None:
        parts = [
            f"{path.stem} {at.frame / self.totals[path]:.0%}{_attempt(at.attempt)}"
            for path, at in standings.items()
            if at.frame < self.totals[path] and path not in self.ended
        ]
        line = f"{len(self.ended)} of {len(self.totals)} ended; {'; '.join(parts) or 'starting'}"
        if line != self.last:
            click.echo(line, err=True)
            self.last = line

    def end(self, path: Path) -> None:
        self.ended.add(path)


class _SweepTable:
    """A bar a run at work, one for all of them below."""

    def __init__(self, totals: Mapping[Path, int], console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[told]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=3600,
            redirect_stdout=sys.stdout.isatty(),  # results go above the table, a pipe gets its own
        )
        self.totals, self.frames = totals, dict.fromkeys(totals, 0)
        self.rows: dict[Path, Any] = {}
        self.ended: set[Path] = set()
        self.lock = threading.Lock()  # `show` is called by a thread of its own
        self.whole = self.bars.add_task("all", total=sum(totals.values()), told=self._counts())

    def _counts(self) -> str:
        return f"{len(self.ended)} of {len(self.totals)} ended"

    def show(self, standings: "Mapping[Path, Standing]") -> None:
        with self.lock:
            for path, at in standings.items():
                if path not in self.ended:
                    self._show(path, at)
            self._sum()

    def _show(self, path: Path, at: "Standing") -> None:
        if path not in self.rows:
            self.rows[path] = self.bars.add_task(path.stem, total=self.totals[path], told="")
        told = "" if math.isnan(at.returned) else f"return {at.returned:.0f}"
        told += _attempt(at.attempt)
        self.bars.update(self.rows[path], completed=at.frame, told=told)
        self.frames[path] = at.frame

    def end(self, path: Path) -> None:
        with self.lock:
            self.ended.add(path)
            self.frames[path] = self.totals[path]
            if path in self.rows:
                self.bars.remove_task(self.rows.pop(path))
            self._sum()

    def _sum(self) -> None:
        self.bars.update(self.whole, completed=sum(self.frames.values()), told=self._counts())


def last_result(path: Path) -> str:
    """A run's last checkpoint in words: its frame and mean return."""
    with open_run(path) as run:
        returned = float(run.read("log/episode_return", len(run.frames) - 1))
        return f"{run.frames[-1]:,} frames, return {returned:.0f}"
