"""The command `vrltrain`."""

import json
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import click

from vrlprobe._group import CleanGroup, as_options
from vrlprobe._text import byte_size
from vrlprobe.errors import VrlprobeError
from vrltrain.config.options import (
    given_config,
    override_options,
    profile_option,
    scratch_option,
    task_option,
)
from vrltrain.config.settings import TrainConfig


@click.group(cls=CleanGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrlprobe")
def main() -> None:
    """Train DrQ-v2 agents on the DeepMind Control Suite into run files."""


@main.command(short_help="Train one agent into a run file.")
@task_option
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Random seed."
)
@profile_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
    help="The run file to write.  [default: runs/TASK-seedSEED.h5]",
)  # fmt: skip
@click.option(
    "--init", "init_path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Start from the networks of a transplant, or of a run's last checkpoint.",
)  # fmt: skip
@scratch_option
@override_options
def run(
    task: str | None,
    seed: int,
    profile: str | None,
    output: Path | None,
    init_path: Path | None,
    scratch: Path | None,
    **overrides: Any,
) -> None:
    """Train one agent into a run file.

    Every evaluation writes a checkpoint with a rollout and a row of logs. A stopped run is
    continued by `vrltrain resume`. Options from --image-size on override the profile; each shows
    the profiles' values for walker_walk.

    With --init, task and settings are those of its file unless given; the optimizers, the replay
    and the noise schedule start afresh, and networks that are blank in the file are drawn with the
    seed.
    """
    from vrltrain.inits import read_init
    from vrltrain.process import keep_freed_memory
    from vrltrain.progress import last_result, progress_of
    from vrltrain.run import begin
    from vrltrain.scratch import deliver, place_to_begin

    init = read_init(init_path) if init_path else None
    config = given_config(profile, task, seed, overrides, init)
    name = init_path.stem if init_path else config.task
    path = output or Path("runs") / f"{name}-seed{seed}.h5"
    if path.suffix != ".h5":
        raise click.UsageError(f"a run file ends in .h5, {path} does not")
    place = place_to_begin(path, scratch)
    keep_freed_memory()
    with progress_of(config, path, scratch, place) as progress:
        begin(config, place, progress, lambda size: _announce(config, path, size), init)
    deliver(place, path)
    click.echo(f"{path}: {last_result(path)}")


@main.command(short_help="Continue a run from its last checkpoint.")
@click.argument("path", metavar="RUN", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--device",
    help="Continue on another device: no longer the same bit for bit.  [default: the run's]",
)
@scratch_option
def resume(path: Path, device: str | None, scratch: Path | None) -> None:
    """Continue a stopped or killed run from its last checkpoint, as if never interrupted."""
    from vrlprobe.runs.reader import open_run
    from vrltrain.paths import followed, record_path
    from vrltrain.process import keep_freed_memory
    from vrltrain.progress import last_result, progress_of
    from vrltrain.run import config_of
    from vrltrain.run import resume as go_on
    from vrltrain.scratch import deliver, place_to_resume

    path = followed(path)
    place = place_to_resume(path, scratch)
    with open_run(place) as opened:
        config = config_of(opened)
    keep_freed_memory()
    with progress_of(config, path, scratch, place) as progress:
        worked = go_on(place, progress, device)
    deliver(place, path)
    note = "" if worked else f" (was complete already; its record is {record_path(path)})"
    click.echo(f"{path}: {last_result(path)}{note}")


@main.command(short_help="Train many seeds side by side.")
@click.argument("inits", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@task_option
@click.option("--seeds", required=True, metavar="0-19", help="Random seeds: 0-19 or 1,3,5.")
@profile_option
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the run files, seedN.h5 or INIT-seedN.h5.  [default: runs; with INITS, their "
    "folder's name and -runs]",
)  # fmt: skip
@click.option(
    "-j", "--workers", type=click.IntRange(1),
    help="Runs side by side.  [default: one per processor core, or per --threads of them; with "
    "--device cuda, as many as the GPU has room for with their replays]",
)  # fmt: skip
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Dask scheduler of a cluster; each of its workers takes one run at a time, and needs "
    "this package and the folder.",
)  # fmt: skip
@click.option(
    "--records", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
    help="Skip runs that a record in DIR shows as done, under whatever name.",
)  # fmt: skip
@scratch_option
@override_options
def sweep(
    inits: tuple[Path, ...],
    task: str | None,
    seeds: str,
    profile: str | None,
    folder: Path | None,
    workers: int | None,
    scheduler: str | None,
    records: Path | None,
    scratch: Path | None,
    **overrides: Any,
) -> None:
    """Train many seeds side by side into one folder, from scratch or from each of INITS.

    Finished runs are skipped, stopped ones are continued, and a run that fails does not stop
    the others. Each finished run leaves a small record, seedN.json, beside its file.

    INITS are transplants (`vrlprobe transplant`, `vrlprobe grid`) or runs; they bring their task
    and settings, as with `vrltrain run --init`.
    """
    from vrltrain.inits import read_init
    from vrltrain.jobs import at_once, jobs_from, jobs_of, parse_seeds, recorded

    if workers and scheduler:
        raise click.UsageError("--workers counts runs on this machine: not with --scheduler")
    try:
        numbers = parse_seeds(seeds)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if inits:
        folder = folder or Path(f"{inits[0].resolve().parent.name}-runs")
        configs = {
            path: given_config(profile, task, 0, overrides, read_init(path)) for path in inits
        }
        jobs = jobs_from(configs, numbers, folder)
    else:
        folder = folder or Path("runs")
        jobs = jobs_of(given_config(profile, task, 0, overrides), numbers, folder)
    folder.mkdir(parents=True, exist_ok=True)
    done = recorded(jobs, records) if records else {}
    for path, record in done.items():
        click.echo(f"{path}: done before, see {record}")
    jobs = [replace(job, scratch=scratch) for job in jobs if job.path not in done]
    if not workers and not scheduler:
        workers = min((at_once(job.config) for job in jobs), default=1)
    if _sweep(jobs, workers or 1, scheduler):
        sys.exit(1)


@main.command(short_help="Where training time goes, and how low it could be.")
@task_option
@profile_option
@click.option(
    "--updates", type=click.IntRange(1),
    help="Updates to time by phase, and as many again as a whole.  [default: as many as half a "
    "minute allows]",
)  # fmt: skip
@click.option(
    "--folder", default=gettempdir(), show_default=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False, writable=True),
    help="Folder for temporary files, which are removed at the end.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@override_options
def profile(
    task: str | None,
    profile: str | None,
    updates: int | None,
    folder: Path,
    as_json: bool,
    **overrides: Any,
) -> None:
    """Show where the time of 1,000 frames goes, and how close that is to the least possible.

    Trains for about a minute with real images, updates, evaluations and checkpoints. The floor of a
    phase is its operations at the speed of matrix products in its precision, or its bytes at the
    speed of a copy, whichever takes longer; both speeds are measured here.
    """
    from vrltrain.breakdown import describe
    from vrltrain.process import keep_freed_memory
    from vrltrain.profile import profile as measure

    config = given_config(profile, task, 0, overrides)
    keep_freed_memory()
    found = measure(config, folder, lambda line: click.echo(line, err=True), updates)
    click.echo(json.dumps(found.stored(), indent=1) if as_json else describe(found))
    if found.waiting > 0.1:
        click.echo(
            f"warning: {found.waiting:.0%} of the time was spent waiting: the machine "
            "is busy with other work, and every figure too large",
            err=True,
        )


def _sweep(jobs: list[Any], workers: int, scheduler: str | None) -> int:
    """Run the jobs with progress on stderr, the results on stdout; the number that failed."""
    from vrltrain.progress import sweep_progress
    from vrltrain.sweep import sweep as start
    from vrltrain.sweep import watched

    if scheduler:
        from vrltrain.cluster import sweep_on_cluster

        results = sweep_on_cluster(jobs, scheduler)
    else:
        results = start(jobs, workers)
    failed, left = 0, list(jobs)
    try:
        with (
            closing(results),
            sweep_progress({job.path: job.config for job in jobs}) as progress,
            watched(left, progress.show),
        ):
            for result in results:
                left.remove(result.job)
                failed += result.outcome == "failed"
                progress.end(result.job.path)
                click.echo(f"{result.job.path}: {_ending(result)}")
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on where it stopped", err=True)
        sys.exit(130)
    return failed


def _ending(result: Any) -> str:
    from vrltrain.progress import last_result

    path = result.job.path
    if result.outcome == "failed":
        return f"failed: {as_options(result.message.removeprefix(f'{path}: '), sweep)}"
    try:
        text = last_result(path) if path.exists() else "only its record is left"
    except VrlprobeError as error:
        text = f"its record is left, but the file is damaged: {error}"
    return f"{text} (was complete already)" if result.outcome == "done before" else text


def _announce(config: TrainConfig, path: Path, size: int) -> None:
    click.echo(
        f"{path}: {config.task}, seed {config.seed}, profile {config.profile}; "
        f"about {byte_size(size)} with its replay",
        err=True,
    )


if __name__ == "__main__":
    main()
