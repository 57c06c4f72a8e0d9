"""Trains the walkers of this study, as many side by side as wanted, and goes on where it stopped.

    python docs/study/walkers/campaign.py train pilot -o runs/walkers     # Ctrl-C or TERM stops it
    python docs/study/walkers/campaign.py table pilot -o runs/walkers > docs/study/walkers/pilot.csv

Every run of a stage is trained up to a frame of its own (a pilot is cut short, but keeps its resume
state, so that it can go on later). One run takes one thread; `--trainer` names the `vrltrain` of
the revision that the whole campaign is trained with.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

import vrlprobe

UPRIGHT = 1.2
"""Metres of torso height from which walker_walk's reward counts the walker as standing."""
WHOLE = 500_000
LOOK = 20.0
"""Seconds between two looks at the runs."""


@dataclass(frozen=True)
class Job:
    """One run: its name, what differs from the profile `bench`, and where it is stopped."""

    name: str
    settings: tuple[str, ...]
    stop: int

    def path(self, folder: Path) -> Path:
        """The run file."""
        return folder / f"{self.name}.h5"


def jobs(prefix: str, seeds: range, stop: int, *settings: str) -> list[Job]:
    """One job a seed."""
    return [Job(f"{prefix}-seed{s}", (*settings, "--seed", str(s)), stop) for s in seeds]


STAGES = {
    "pilot": [
        *jobs("pilot/n1", range(101, 103), 200_000),
        *jobs("pilot/n1-batch256", range(101, 103), 200_000, "--batch-size", "256"),
        *jobs("pilot/n1-64px", range(101, 103), 200_000, "--image-size", "64"),
    ],
    "width": jobs("width/224", range(111, 117), 120_000, "--hidden-dim", "224"),
}
"""The pilot asks which setting stands up, then how wide it must be that both fates occur."""


def frame_of(path: Path) -> int:
    """The last committed frame of a run; -1 if there is none yet."""
    try:
        with vrlprobe.open_run(path) as run:
            return int(run.frames[-1]) if len(run.frames) else -1
    except vrlprobe.VrlprobeError:
        return -1


def start(job: Job, folder: Path, trainer: str) -> "subprocess.Popen[bytes]":
    """Begin a run, or go on with it; what it prints goes into a file beside it."""
    path = job.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = ["run", "--task", "walker_walk", "--profile", "bench", *job.settings, "-o", str(path)]
    command = [trainer, *(["resume", str(path)] if path.exists() else new)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with path.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def train_all(todo: list[Job], folder: Path, trainer: str, workers: int) -> Iterator[str]:
    """Train every job to its stop, so many at once; a line for each that ends."""
    running: dict[Job, subprocess.Popen[bytes]] = {}
    waiting = [job for job in todo if frame_of(job.path(folder)) < job.stop]
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running[job] = start(job, folder, trainer)
            time.sleep(LOOK)
            for job, process in list(running.items()):
                frame = frame_of(job.path(folder))
                if process.poll() is None and frame >= job.stop:
                    process.terminate()
                    process.wait()
                if process.poll() is not None:
                    del running[job]
                    yield f"{job.name}: frame {frame:,} of {job.stop:,}"
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def rows(job: Job, folder: Path) -> Iterator[dict[str, object]]:
    """What each evaluation of a run shows: does it stand, does it walk, is it in collapse?"""
    with vrlprobe.open_run(job.path(folder)) as run:
        height, speed = (run.components.index(name) for name in ("height", "torso_velocity"))
        spread, trained = run.log["action_spread"].values, run.log["train_return"].values
        for place, frame in enumerate(run.frames.tolist()):
            states = np.concatenate([episode.states for episode in run.rollout(frame)])
            yield {
                "run": job.name,
                "frame": frame,
                "return": round(float(run.returns[place]), 1),
                "train_return": round(float(trained[place]), 1),
                "upright": round(float((states[:, height] > UPRIGHT).mean()), 3),
                "height": round(float(states[:, height].mean()), 3),
                "speed": round(float(states[:, speed].mean()), 3),
                "action_std": float(f"{spread[place]:.3g}"),
            }


@click.group()
def main() -> None:
    """Train the walkers of this study, and tabulate what they do."""


stage = click.argument("stage", type=click.Choice(list(STAGES)))
output = click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="Run files."
)


@main.command()
@stage
@output
@click.option("--workers", default=2, show_default=True, help="Runs side by side.")
@click.option("--trainer", default="vrltrain", show_default=True, help="The program that trains.")
def train(stage: str, folder: Path, workers: int, trainer: str) -> None:
    """Train a stage's runs to where each is to stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for line in train_all(STAGES[stage], folder, trainer, workers):
            click.echo(line, err=True)
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on", err=True)
        sys.exit(130)


@main.command()
@stage
@output
def table(stage: str, folder: Path) -> None:
    """Print one row an evaluation, as CSV."""
    found = [row for job in STAGES[stage] if job.path(folder).exists() for row in rows(job, folder)]
    if not found:
        raise click.ClickException(f"{folder} has no run of the stage {stage}: train it first")
    writer = csv.DictWriter(sys.stdout, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)


if __name__ == "__main__":
    main()
