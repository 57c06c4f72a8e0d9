"""The command `vrltrain`."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import click

from trainers.profiles import CHOICES, PROFILES, TrainConfig
from vrlprobe.cli.group import CleanGroup

OVERRIDES = [
    f for f in fields(TrainConfig) if f.name not in ("task", "seed", "profile", "architecture")
]


task_option = click.option(
    "--task", default="walker_walk", show_default=True, help="Domain and task."
)
profile_option = click.option(
    "--profile", default="desk", show_default=True, type=click.Choice(list(PROFILES)),
    help="desk: minutes on one core; paper: the published size and schedule.",
)  # fmt: skip

SHORT = {
    "reset_window": "window",
    "reset_threshold": "threshold",
    "reset_consecutive": "consecutive",
}
"""Settings with a second, shorter option."""


def _override_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each setting, `--image-size` for `image_size`; None where it is not given."""
    for field in reversed(OVERRIDES):
        values = {name: getattr(make("walker_walk"), field.name) for name, make in PROFILES.items()}
        text = field.metadata["help"] + "  [" + ", ".join(f"{k} {v}" for k, v in values.items())
        command = click.option(
            *_option_names(field.name, field.type is bool),
            field.name,
            type=click.Choice(CHOICES[field.name]) if field.name in CHOICES else field.type,
            default=None,
            help=f"{text}]",
        )(command)
    return command


def _option_names(setting: str, switch: bool) -> list[str]:
    name = setting.replace("_", "-")
    names = [f"--{name}/--no-{name}" if switch else f"--{name}"]
    return [*names, f"--{SHORT[setting]}"] if setting in SHORT else names


def _config(profile: str, task: str, seed: int, overrides: dict[str, Any]) -> TrainConfig:
    """A profile's settings with those that were given; UsageError where one makes no sense."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return replace(PROFILES[profile](task), seed=seed, **given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@click.group(cls=CleanGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrlprobe")
def main() -> None:
    """Train DrQ-v2 agents on the DeepMind Control Suite into run files."""


@main.command()
@task_option
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Random seed.")
@profile_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
    help="The run file  [default: runs/TASK-seedSEED.h5]",
)  # fmt: skip
@_override_options
def run(task: str, seed: int, profile: str, output: Path | None, **overrides: Any) -> None:
    """Train one agent into a run file.

    Every evaluation is a checkpoint with a rollout and a row of logs. A run that was stopped goes
    on with `vrltrain resume`. Options from --image-size on override the profile; each shows what
    the profiles have for walker_walk.
    """
    from trainers.process import prepare
    from trainers.run import begin, last_result
    from vrlprobe.envs import split_task

    split_task(task)
    config = _config(profile, task, seed, overrides)
    path = output or Path("runs") / f"{task}-seed{seed}.h5"
    if path.suffix != ".h5":
        raise click.UsageError(f"a run file ends in .h5, {path} does not")
    prepare()
    with _progress(config, path) as progress:
        begin(config, path, progress, lambda size: _announce(config, path, size))
    click.echo(f"{path}: {last_result(path)}")


@main.command()
@click.argument("path", metavar="RUN", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def resume(path: Path) -> None:
    """Continue a run that was stopped or killed from its last checkpoint, as if unbroken."""
    from trainers.process import prepare
    from trainers.run import last_result, stored_config
    from trainers.run import resume as go_on
    from vrlprobe.format.reader import open_run

    with open_run(path) as opened:
        config = stored_config(opened)
    prepare()
    with _progress(config, path) as progress:
        worked = go_on(path, progress)
    note = "" if worked else " (was complete already)"
    click.echo(f"{path}: {last_result(path)}{note}")


@main.command()
@task_option
@click.option("--seeds", required=True, metavar="0-19", help="Random seeds: 0-19 or 1,3,5.")
@profile_option
@click.option(
    "-o", "--output", "folder", default="runs", show_default=True,
    type=click.Path(path_type=Path, file_okay=False), help="Folder of the run files, seedN.h5.",
)  # fmt: skip
@click.option(
    "-j", "--workers", type=click.IntRange(1),
    help="Runs side by side.  [default: one a processor core]",
)  # fmt: skip
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Dask scheduler of a cluster; its workers need this package and the folder.",
)  # fmt: skip
@_override_options
def sweep(
    task: str,
    seeds: str,
    profile: str,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
    **overrides: Any,
) -> None:
    """Train many seeds side by side into one folder.

    Runs that are done are skipped, runs that were stopped go on, a run that fails does not stop
    the others. Each finished run leaves a small record, seedN.json, beside its file.
    """
    from joblib import cpu_count

    from trainers.sweep import jobs_of, parse_seeds
    from vrlprobe.envs import split_task

    split_task(task)
    config = _config(profile, task, 0, overrides)
    try:
        numbers = parse_seeds(seeds)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    folder.mkdir(parents=True, exist_ok=True)
    failed = _sweep(jobs_of(config, numbers, folder), workers or cpu_count(), scheduler)
    if failed:
        sys.exit(1)


@main.command()
@task_option
@profile_option
@click.option(
    "--updates", type=click.IntRange(1),
    help="Updates to time by phase, and as many again as a whole.  [default: what half a minute "
    "allows]",
)  # fmt: skip
@click.option(
    "--folder", default=gettempdir(), show_default=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False, writable=True),
    help="Disk to write to; all is removed at the end.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_override_options
def profile(
    task: str, profile: str, updates: int | None, folder: Path, as_json: bool, **overrides: Any
) -> None:
    """Show where the time of 1,000 frames goes, and how near that is to what must be done.

    Trains for about a minute with real images, updates, evaluations and checkpoints. The floor of a
    phase is its operations at the speed of matrix products in its precision, or its bytes at the
    speed of a copy, whichever takes longer, both measured here.
    """
    from trainers.breakdown import describe
    from trainers.process import prepare
    from trainers.profiling import profile as measure
    from vrlprobe.envs import split_task

    split_task(task)
    config = _config(profile, task, 0, overrides)
    prepare()
    try:
        found = measure(config, folder, lambda line: click.echo(line, err=True), updates)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        sys.exit(130)
    click.echo(json.dumps(found.stored(), indent=1) if as_json else describe(found))
    if found.waiting > 0.1:
        click.echo(
            f"warning: {found.waiting:.0%} of the time was spent waiting: the machine "
            "is busy with other work, and every figure too large",
            err=True,
        )


def _sweep(jobs: list[Any], workers: int, scheduler: str | None) -> int:
    """Run the jobs with progress on stderr, the results on stdout; the number that failed."""
    from trainers.sweep import sweep as start
    from trainers.sweep import watched

    total = jobs[0].config.evaluation_frames[-1]
    failed, ended = 0, 0

    def show(frames: dict[Path, int]) -> None:
        running = {path: frame for path, frame in frames.items() if frame < total}
        parts = [f"{path.stem} {frame / total:.0%}" for path, frame in running.items()]
        click.echo(f"{ended} of {len(jobs)} ended; {', '.join(parts) or 'starting'}", err=True)

    try:
        with watched(jobs, show):
            for result in start(jobs, workers, scheduler):
                ended += 1
                failed += result.outcome == "failed"
                click.echo(f"{result.job.path}: {_ending(result)}")
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on where it stopped", err=True)
        sys.exit(130)
    return failed


def _ending(result: Any) -> str:
    from trainers.run import last_result

    path = result.job.path
    if result.outcome == "failed":
        return f"failed: {result.message.removeprefix(f'{path}: ')}"
    text = last_result(path) if path.exists() else "only its record is left"
    return f"{text} (was complete already)" if result.outcome == "done before" else text


def _announce(config: TrainConfig, path: Path, size: int) -> None:
    click.echo(
        f"{path}: {config.task}, seed {config.seed}, profile {config.profile}, "
        f"{len(config.evaluation_frames)} checkpoints; about {size / 1e9:.2g} GB with its replay",
        err=True,
    )


@contextmanager
def _progress(config: TrainConfig, path: Path) -> Iterator[Callable[[Any], None]]:
    """Progress on stderr; an interrupt ends with how to go on and exit status 130."""
    from rich.console import Console

    console = Console(stderr=True)
    total = config.evaluation_frames[-1]
    try:
        with _live_line(console, total) if console.is_terminal else _log_lines(total) as show:
            yield show
    except KeyboardInterrupt:
        hint = f"; continue with: vrltrain resume {path}" if path.exists() else ""
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


if __name__ == "__main__":
    main()
