"""How trainings show where they stand: live lines on a terminal, else a line a checkpoint."""

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from vrlprobe.runs.reader import open_run
from vrltrain.config.settings import TrainConfig

if TYPE_CHECKING:
    from vrltrain.sweep import Standing


EVERY = 60.0
"""Seconds between the lines of a log, where no checkpoint comes sooner."""


@dataclass
class Begun:
    """Where a training goes on: its last checkpoint's frame and return."""

    frame: int = 0
    returned: float = math.nan


@contextmanager
def progress_of(
    config: TrainConfig, path: Path, scratch: Path | None, place: Path, begun: Begun | None = None
) -> Iterator[Callable[[Any], None]]:
    """Progress on stderr; an interrupt ends with what is kept, how to go on, and exit status 130.

    Args:
        config: the run's settings.
        path, scratch: as they were given, to be given again.
        place: where the run is written until it is finished.
        begun: where a run goes on that was stopped.
    """
    from rich.console import Console

    console = Console(stderr=True)
    total, at = config.evaluation_frames[-1], begun or Begun()
    if begun:
        click.echo(f"resuming at {begun.frame:,} of {total:,} frames", err=True)
    shown = _live_line(console, total, at) if console.is_terminal else _log_lines(total, at)
    kept = Kept(begun.frame if begun else None)
    try:
        with shown as show:

            def told(training: Any) -> None:
                kept.note(training)
                show(training)

            yield told
    except KeyboardInterrupt:
        option = "" if scratch is None else f" --scratch {scratch}"
        hint = "; it has no checkpoint yet, nothing was kept"
        if place.exists():
            upto = "" if kept.frame is None else f"; kept up to frame {kept.frame:,}"
            hint = f"{kept.reached}{upto}; continue with: vrltrain resume {path}{option}"
        click.echo(f"stopped{hint}", err=True)
        sys.exit(130)


class Kept:
    """The frame of the last checkpoint that was committed, and the one that was reached."""

    def __init__(self, frame: int | None) -> None:
        self.frame, self.reached, self._seen = frame, "", 0

    def note(self, training: Any) -> None:
        """Look at a training where it tells its progress."""
        self.reached = f" at frame {training.frame:,}"
        if training.checkpoints > self._seen:
            self._seen, self.frame = training.checkpoints, training.frame


@contextmanager
def _live_line(console: Any, total: int, begun: Begun) -> Iterator[Callable[[Any], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} frames"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, speed_estimate_period=600) as bar:
        line = bar.add_task("", total=total, completed=begun.frame, told=_return(begun.returned))

        def show(training: Any) -> None:
            speed = bar.tasks[0].speed
            returned = training.last_return
            parts = [
                _return(begun.returned if math.isnan(returned) else returned),
                _attempt(training.attempt.number).removeprefix(", "),
                _evaluated(training).removeprefix(", "),
                f"{speed:.0f} frames/s" if speed else "",
            ]
            told = ", ".join(filter(None, parts))
            bar.update(line, completed=training.frame, told=f"{told}  left" if told else "")

        yield show


def _return(value: float) -> str:
    """A return, where there is one."""
    return "" if math.isnan(value) else f"return {value:.0f}"


def _attempt(number: int) -> str:
    """Which attempt it is, once the rule has reset one."""
    return f", attempt {number}" if number > 1 else ""


def _evaluated(training: Any) -> str:
    """How far an evaluation is: with many episodes it takes minutes."""
    played, episodes = training.evaluated, training.evaluating
    return f", evaluated {played}/{episodes}" if episodes else ""


@contextmanager
def _log_lines(total: int, begun: Begun) -> Iterator[Callable[[Any], None]]:
    """One line a checkpoint, for log files, and one a minute between them."""
    seen, last = 0, time.monotonic()

    def show(training: Any) -> None:
        nonlocal seen, last
        at = f"{training.frame:,}/{total:,} frames"
        if training.checkpoints > seen:
            seen, last = training.checkpoints, time.monotonic()
            rate = "" if math.isnan(training.rate) else f", {training.rate:.0f} frames/s"
            returned = f"return {training.last_return:.0f}"
            attempt = _attempt(training.attempt.number)
            click.echo(f"{at}, {returned}{rate}{attempt}", err=True)
        elif time.monotonic() - last >= EVERY:
            last = time.monotonic()
            click.echo(f"{at}{_evaluated(training)}", err=True)

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
