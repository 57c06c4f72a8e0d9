"""`vrlprobe samples`: a sample set from the final episodes of well-performing runs."""

from pathlib import Path

import click

from vrlprobe._text import aligned
from vrlprobe.cli.common import FILE, Session, check_writable
from vrlprobe.errors import SampleError
from vrlprobe.runs.schema import SAMPLES
from vrlprobe.samples.file import save_samples
from vrlprobe.samples.make import DEFAULT_SAMPLES, check_alike, make_samples, weak_runs
from vrlprobe.samples.sample_set import SPLITS, SampleSet


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
    help="Random seed of the split by episode.",
)
@click.option("--insist", is_flag=True, help="Accept runs below their profile's good_return, too.")
def samples(runs: tuple[Path, ...], output: Path, number: int, seed: int, insist: bool) -> None:
    """Make a sample set from the final episodes of several well-performing RUNS.

    Probes that are to be compared are fitted and tested on one set. It is split into training,
    validation and test sets of about 60, 20 and 20%, never within an episode.
    """
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, but=SAMPLES)
        check_alike(opened)  # before what --insist would help with
        weak = weak_runs(opened)
        if weak and not insist:
            raise SampleError(
                f"not well-performing: {'; '.join(weak)}: leave these out, or --insist"
            )
        for phrase in weak:
            click.echo(f"warning: not well-performing: {phrase}", err=True)
        made = make_samples(opened, number or None, seed=seed)
        save_samples(made, output)
    click.echo(describe(made))
    click.echo(f"wrote {output}", err=True)


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
    return f"{head}\n\n{aligned(taken)}\n\n{aligned(parts)}\n\ndigest {made.digest}"
