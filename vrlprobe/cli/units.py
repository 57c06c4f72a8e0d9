"""`vrlprobe plot units`: where in the image the activations look that a probe chose."""

from pathlib import Path

import click

from vrlprobe import analyses, figures
from vrlprobe.cli.common import Session, refuse_idle, samples_option, split_list
from vrlprobe.cli.draw import check_output, components_option, figure_options, finish
from vrlprobe.cli.film import one_frame
from vrlprobe.cli.inputs import is_result, results
from vrlprobe.probes import DEFAULT_MAX_ATOMS


@click.command(short_help="Where in the image the chosen units look.")
@figure_options
@components_option
@click.option("--layers", help="Comma-separated layers.  [default: the last convolution]")
@click.option("--frame", default="last", show_default=True, help="Checkpoint: last, best, F.")
@samples_option
@click.option(
    "--keep-own",
    is_flag=True,
    help="Keep the run's own episodes, and its donors', in its test set.",
)
@click.option(
    "--max-atoms", type=click.IntRange(min=1), default=DEFAULT_MAX_ATOMS, show_default=True,
    help="Largest number of activations in a probe.",
)  # fmt: skip
def units(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    frame: str,
    sample_paths: tuple[Path, ...],
    keep_own: bool,
    max_atoms: int,
) -> None:
    """Where in the image the activations chosen by a probe look, component by component.

    INPUTS is one run, which is probed on the spot, or the numbers that --data saved earlier.
    """
    check_output(output, data)
    if len(inputs) > 1:
        raise click.UsageError("this figure shows one run: give one")
    if is_result(inputs[0]):
        idle = ["layers", "frame", "sample_paths", "keep_own", "max_atoms"]
        refuse_idle(idle, f"is for a run, {inputs[0]} holds numbers drawn before")
        kept = results(inputs, "atoms")[str(inputs[0])]
        finish(figures.units(kept, components=split_list(components)), output, data)
        return
    with Session() as session:
        (run,) = session.runs(inputs)
        found = analyses.units(
            run,
            session.samples(sample_paths),
            frame=one_frame(frame),
            layers=split_list(layers),
            components=split_list(components),
            max_atoms=max_atoms,
            keep_own=keep_own,
        )
    finish(figures.units(found), output, data)
