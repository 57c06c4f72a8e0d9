"""`vrlprobe samples`: a sample set from the final episodes of well-performing runs."""

from collections.abc import Sequence
from pathlib import Path

import click

from vrlprobe._text import aligned
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    class_options,
    forced,
    refuse_idle,
    split_list,
)
from vrlprobe.errors import SampleError
from vrlprobe.runs.output import SAMPLE_SET
from vrlprobe.runs.reader import Run
from vrlprobe.samples.file import save_samples
from vrlprobe.samples.make import DEFAULT_SAMPLES, check_alike, make_samples, weak_runs
from vrlprobe.samples.sample_set import SPLITS, SampleSet, Source
from vrlprobe.samples.selection import choose
from vrlprobe.stats.classes import CLASSES

MOST = 5
"""Runs of a class that are named in a line."""


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="The sample set to write (HDF5).")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=0),
    default=DEFAULT_SAMPLES,
    show_default=True,
    help="Total number of samples, evenly spaced in each episode; 0 takes all.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Random seed of the split by episode, and of the draw of a mix.",
)
@click.option(
    "--mix",
    help="Comma-separated classes of runs by return, good,middle,bad: as many episodes of each.  "
    "[default: all episodes of all runs]",
)
@class_options
@click.option("--insist", is_flag=True, help="Accept runs below their profile's good_return, too.")
def samples(
    runs: tuple[Path, ...],
    output: Path,
    number: int,
    seed: int,
    mix: str | None,
    good: float | None,
    bad: float | None,
    insist: bool,
) -> None:
    """Make a sample set from the final episodes of several well-performing RUNS.

    Probes that are to be compared are fitted and tested on one set. It is split into training,
    validation and test sets of about 60, 20 and 20%, never within an episode. With --mix, each
    class of runs gives as many episodes, and is in all three sets.
    """
    if mix is None:
        refuse_idle(["good", "bad"], "is for the classes of a --mix")
    else:
        refuse_idle(["insist"], "has no effect with --mix, which names the classes of runs")
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, SAMPLE_SET)
        check_alike(opened)  # before what --insist would help with
        if mix is None:
            _check_well_performing(opened, insist)
        classes = None if mix is None else choose(split_list(mix), CLASSES, "class")
        made = make_samples(opened, number or None, seed=seed, mix=classes, good=good, bad=bad)
        save_samples(made, output, force=forced())
    click.echo(describe(made))
    click.echo(f"wrote {output}", err=True)


def _check_well_performing(runs: Sequence[Run], insist: bool) -> None:
    """Warn of weak runs where they are insisted on, else raise SampleError."""
    weak = weak_runs(runs)
    if weak and not insist:
        raise SampleError(f"not well-performing: {'; '.join(weak)}: leave these out, or --insist")
    for phrase in weak:
        click.echo(f"warning: not well-performing: {phrase}", err=True)


def describe(made: SampleSet) -> str:
    """What a set took from where, as text."""
    taken = [
        {
            "run": source.name,
            "seed": str(source.seed) if source.seed >= 0 else "-",
            "frame": str(source.frame),
            "return": f"{source.episode_return:.0f}",
            "episodes": str(source.n_episodes),
        }
        for source in made.sources
    ]
    parts = [
        {
            "set": name,
            "episodes": str((made.split == place).sum()),
            "samples": str(len(made.rows(name))),
        }
        for place, name in enumerate(SPLITS)
    ]
    head = f"{made.task}: {len(made)} samples, {len(made.components)} components"
    mix = describe_mix(made)
    lines = f"{head}\n{mix}" if mix else head
    return f"{lines}\n\n{aligned(taken)}\n\n{aligned(parts)}\n\ndigest {made.digest}"


def describe_mix(made: SampleSet) -> str:
    """How many episodes of which class a mix took from whom, in a line; empty without a mix."""
    classes: dict[str, list[Source]] = {}
    for source in made.sources:
        if source.run_class:
            classes.setdefault(source.run_class, []).append(source)
    told = []
    for name, sources in classes.items():
        whose = [f"{source.n_episodes} of {source.name}" for source in sources[:MOST]]
        rest = [f"and {len(sources) - MOST} more runs"] if len(sources) > MOST else []
        total = sum(source.n_episodes for source in sources)
        told.append(f"{total} {name} episodes ({', '.join([*whose, *rest])})")
    return f"mix: {', '.join(told)}" if told else ""
