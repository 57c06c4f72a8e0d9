"""`vrlprobe plot`: every figure from the results, or runs, that it draws."""

from pathlib import Path
from typing import get_args

import click
import xarray as xr

from vrlprobe import figures
from vrlprobe.cli.common import (
    class_options,
    parse_frames,
    refuse_idle,
    split_list,
    warnings_on_stderr,
)
from vrlprobe.cli.draw import (
    check_output,
    components_option,
    figure_options,
    finish,
    layers_option,
    runs_option,
)
from vrlprobe.cli.film import film
from vrlprobe.cli.inputs import named, names_option, one_result, result
from vrlprobe.cli.units import units
from vrlprobe.figures._choices import By
from vrlprobe.samples.selection import choose
from vrlprobe.stats.classes import CLASSES, Class

by_choice = click.Choice(get_args(By))


@click.group()
def plot() -> None:
    """Draw a figure: `vrlprobe plot NAME INPUT… -o FILE`, FILE a .pdf, .png or .svg.

    `vrlprobe plot NAME --help` says what a figure shows and what it is drawn from.
    """


@plot.command(short_help="Error over training, one line per layer (Figure 2).")
@figure_options
@components_option
@layers_option
@runs_option
@click.option("--by", type=by_choice, help="One row for each of these.  [default: class]")
@class_options
def probe(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    runs: str | None,
    by: By | None,
    good: float | None,
    bad: float | None,
) -> None:
    """Test error over training, one line per layer (the paper's Figure 2).

    INPUTS are results of `vrlprobe probe RUN… --frames all`. There is one row per class of
    agents, good, middle and bad by their last return, with the 95% interval of the mean; or
    one row per run.
    """
    check_output(output, data)
    if by == "run":
        refuse_idle(["good", "bad"], "makes classes, --by run draws none")
    found = probe_result(inputs, runs, layers)
    with warnings_on_stderr():
        drawn = figures.probe(found, components=split_list(components), by=by, good=good, bad=bad)
    finish(drawn, output, data)


def probe_result(inputs: tuple[Path, ...], runs: str | None, layers: str | None) -> xr.Dataset:
    """Results of probes as one, of the runs and layers asked for."""
    found = result(inputs, "probe", split_list(runs))
    there = found["layer"].values.tolist()
    return found.sel(layer=choose(split_list(layers), there, "layer"))


@plot.command(short_help="R² by layer and component, with the sparsity.")
@figure_options
@components_option
@layers_option
@runs_option
@click.option("--frame", help="Frame of the checkpoints drawn.  [default: each run's last]")
@click.option("--by", type=by_choice, help="One panel for each of these.  [default: run]")
@class_options
def layers(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    runs: str | None,
    frame: str | None,
    by: By | None,
    good: float | None,
    bad: float | None,
) -> None:
    """Where each component is: R² by layer and component, with the chosen sparsity.

    INPUTS are results of `vrlprobe probe`. There is one panel per run, or per class of agents,
    good, middle and bad by their last return, with the medians over its runs; the best layer is
    framed.
    """
    check_output(output, data)
    if by != "class":
        refuse_idle(["good", "bad"], "makes classes: give --by class, too")
    found = probe_result(inputs, runs, layers)
    wanted = parse_frames(frame or "last")
    if isinstance(wanted, list) and len(wanted) == 1:
        at = wanted[0]
    elif wanted == "last":
        at = None
    else:
        raise click.BadParameter(f"one frame or last is needed, not {frame}", param_hint="--frame")
    with warnings_on_stderr():
        drawn = figures.layers(
            found, components=split_list(components), frame=at, by=by or "run", good=good, bad=bad
        )
    finish(drawn, output, data)


@plot.command(short_help="Rank, correlation, zeros and gradient norm (Figure 4).")
@figure_options
@runs_option
@click.option("--layers", help="Comma-separated layers.  [default: mlp1,mlp2]")
@click.option(
    "--metrics", "names", help="Comma-separated variables, one per column.  [default: the paper's]"
)
def metrics(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    runs: str | None,
    layers: str | None,
    names: str | None,
) -> None:
    """Return, rank, correlation, zeros and gradient norm (the paper's Figures 4, 8, 9).

    INPUTS are results of `vrlprobe metrics`. There is one row per run; collapse is shaded.
    """
    check_output(output, data)
    found = result(inputs, "metrics", split_list(runs))
    finish(
        figures.metrics(found, metrics=split_list(names), layers=split_list(layers)), output, data
    )


@plot.command(short_help="Which metrics switch when a run comes out of collapse.")
@figure_options
@runs_option
def escape(inputs: tuple[Path, ...], output: Path, data: Path | None, runs: str | None) -> None:
    """Which metrics switch when runs come out of collapse, and when (the paper's section 5.1).

    INPUTS are results of `vrlprobe metrics` on one sample set; runs that stay stuck help to
    separate collapsed checkpoints from healthy ones.
    """
    check_output(output, data)
    finish(figures.escape(result(inputs, "metrics", split_list(runs))), output, data)


@plot.command(short_help="Returns of cohorts over training (Figure 5).")
@figure_options
@names_option
def cohort(inputs: tuple[Path, ...], output: Path, data: Path | None, names: str | None) -> None:
    """Returns of cohorts over training (the paper's Figure 5).

    INPUTS are results of `vrlprobe cohort RUN… -o NAME.nc`, one line each: the mean, with the 5th
    to 95th percentile over runs as the light band and the mean's 95% interval as the dark one.
    """
    check_output(output, data)
    with warnings_on_stderr():
        finish(figures.cohort(named(inputs, "cohort", names)), output, data)


@plot.command(short_help="Which layer beats which, and how surely.")
@figure_options
@components_option
@layers_option
@runs_option
@click.option("--only", type=click.Choice(CLASSES), help="Use only runs of this class.")
@class_options
def order(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    runs: str | None,
    only: Class | None,
    good: float | None,
    bad: float | None,
) -> None:
    """Which layer beats which, with its significance over runs (the paper's supplement B).

    INPUTS are results of `vrlprobe probe`, of at least two runs; each counts once, at its
    last frame.
    """
    check_output(output, data)
    if not only:
        refuse_idle(["good", "bad"], "makes classes: choose one (--only)")
    found = probe_result(inputs, runs, layers)
    with warnings_on_stderr():
        drawn = figures.order(
            found, components=split_list(components), only=only, good=good, bad=bad
        )
    finish(drawn, output, data)


@plot.command(short_help="Who succeeds from which parts (Figure 3).")
@figure_options
def transplant(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """Who succeeds from which CNN and MLP, and how fast (the paper's Figure 3).

    INPUTS is one result of `vrlprobe cohort --by init RUN… -o grid.nc`.
    """
    check_output(output, data)
    found = one_result(inputs, "cohort", "cohort: count all runs in one")
    finish(figures.transplant(found), output, data)


@plot.command(short_help="Where bad runs' probes are worse.")
@figure_options
@components_option
def contrast(
    inputs: tuple[Path, ...], output: Path, data: Path | None, components: str | None
) -> None:
    """Error of good and bad runs by layer, and the difference in differences.

    INPUTS is one result of `vrlprobe contrast PROBE.nc -o contrast.nc`.
    """
    check_output(output, data)
    found = one_result(inputs, "contrast", "contrast: give one result")
    finish(figures.contrast(found, components=split_list(components)), output, data)


@plot.command(short_help="How early a run's outcome can be predicted.")
@figure_options
@click.option("--metrics", "names", help="Comma-separated metrics.  [default: the best four]")
def forecast(inputs: tuple[Path, ...], output: Path, data: Path | None, names: str | None) -> None:
    """How early, and from which metric, a run's outcome can be predicted, and what that saves.

    INPUTS is one result of `vrlprobe forecast RUN… -o forecast.nc`.
    """
    check_output(output, data)
    found = one_result(inputs, "foretell", "set of runs: forecast them together")
    finish(figures.forecast(found, metrics=split_list(names)), output, data)


@plot.command(short_help="How long collapse lasts, and when to give up.")
@figure_options
def survival(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """How long attempts stay in collapse, and what an escape costs by the frame of giving up.

    INPUTS is one result of `vrlprobe survival RUN… -o survival.nc`.
    """
    check_output(output, data)
    found = one_result(inputs, "outlook", "set of runs: take them together")
    finish(figures.survival(found), output, data)


@plot.command(short_help="How alike layers are between runs and over training.")
@figure_options
@layers_option
def similarity(
    inputs: tuple[Path, ...], output: Path, data: Path | None, layers: str | None
) -> None:
    """Linear CKA of each layer between runs, and over training.

    INPUTS is one result of `vrlprobe similarity RUN… -o similarity.nc`. The matrices compare the
    runs at the last frame that all have. Below, a solid curve compares a run's checkpoints with its
    last one; the dashed curve is the mean over pairs of runs.
    """
    check_output(output, data)
    found = one_result(inputs, "similarity", "result: compare the runs together")
    finish(figures.similarity(found, layers=split_list(layers)), output, data)


@plot.command(short_help="Returns without a component, beside the controls.")
@figure_options
def ablate(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """Change of return and R² of a fresh probe when a component's direction is removed.

    INPUTS is one result of `vrlprobe intervene ablate RUN… -o ablate.nc`.
    """
    check_output(output, data)
    found = one_result(inputs, "ablate", "result: ablate the runs together")
    finish(figures.ablate(found), output, data)


@plot.command(short_help="From which layer on a stuck agent's actions vary again.")
@figure_options
def patch(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """Action std of stuck agents with another agent's activations, layer by layer.

    INPUTS is one result of `vrlprobe intervene patch RUN… -o patch.nc`.
    """
    check_output(output, data)
    found = one_result(inputs, "patch", "result: patch the runs together")
    finish(figures.patch(found), output, data)


@plot.command(short_help="Every CNN with every MLP: return, action std, agreement.")
@figure_options
def stitch(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """Return, action std and agreement of every CNN with every MLP of some checkpoints.

    INPUTS is one result of `vrlprobe stitch RUN… -o stitch.nc`. A dashed frame marks pairs whose
    action does not vary.
    """
    check_output(output, data)
    found = one_result(inputs, "stitch", "set of checkpoints: stitch them together")
    finish(figures.stitch(found), output, data)


plot.add_command(units)
plot.add_command(film)
