"""`vrlprobe plot`: every figure from the results, or runs, that it draws."""

from collections.abc import Sequence
from pathlib import Path

import click
import xarray as xr
from matplotlib.figure import Figure

from vrlprobe.cli.atoms import atoms
from vrlprobe.cli.common import class_options, parse_frames, refuse_idle, split_list
from vrlprobe.cli.drawing import (
    check_output,
    components_option,
    figure_options,
    finish,
    layers_option,
    runs_option,
)
from vrlprobe.cli.film import film
from vrlprobe.cli.inputs import chosen, chosen_components, named, names_option, result, results
from vrlprobe.errors import SampleError, VrlprobeError
from vrlprobe.figures import cohort as cohort_figure
from vrlprobe.figures import escape as escape_figure
from vrlprobe.figures import foretell as foretell_figure
from vrlprobe.figures import layers as layers_figure
from vrlprobe.figures import metrics as metrics_figure
from vrlprobe.figures import order as order_figure
from vrlprobe.figures import outlook as outlook_figure
from vrlprobe.figures import probe as probe_figure
from vrlprobe.figures import transplant as transplant_figure
from vrlprobe.results import last_checkpoint
from vrlprobe.studies.averaging import by_class, returns, run_classes
from vrlprobe.studies.escaping import escapes
from vrlprobe.studies.foretelling import best_metrics
from vrlprobe.studies.ordering import order as order_study

FORETELL_LINES = 4
"""Metrics drawn where none are named: those that tell best, on average over the frames."""


@click.group(short_help="Draw a figure from results, or from runs.")
def plot() -> None:
    """Draw a figure: `vrlprobe plot NAME INPUT… -o FILE`, FILE a .pdf, .png or .svg.

    `vrlprobe plot NAME --help` says what a figure shows and what it is drawn from.
    """


@plot.command(short_help="Error over training, a line a layer (Figure 2).")
@figure_options
@components_option
@layers_option
@runs_option
@click.option("--by", type=click.Choice(["class", "run"]), help="A row each.  [default: class]")
@class_options
def probe(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    runs: str | None,
    by: str | None,
    good: float | None,
    bad: float | None,
) -> None:
    """Test error over training, a line a layer (the paper's Figure 2).

    INPUTS are results of `vrlprobe probe RUN… --frames all`. A row a class of agents,
    good, middle and bad by their last return, with the 95% interval of the mean; or a row
    a run.
    """
    check_output(output, data)
    if by == "run":
        refuse_idle(["good", "bad"], "makes classes, --by run draws none")
    found = probe_result(inputs, runs, layers)
    names = chosen_components(found, components, probe_figure.default_components(found))
    drawn = probe_rows(found, names, by, good, bad)
    finish(probe_figure.draw(drawn, names), output, drawn, data)


def probe_rows(
    found: xr.Dataset,
    components: Sequence[str],
    by: str | None = None,
    good: float | None = None,
    bad: float | None = None,
) -> xr.Dataset:
    """What the figure of a probe over training draws: classes of agents, or single runs.

    Classes unless told otherwise, where there are several runs of which it is known.
    """
    if (found["checkpoint"] != "").sum("frame").max() < 2:
        raise SampleError(
            "a curve needs several frames, this result has one of each run: probe with --frames "
            "all, or draw it with `vrlprobe plot layers`"
        )
    if by == "run" or (by is None and found.sizes["run"] == 1):
        return found
    asked = by is not None or good is not None or bad is not None
    try:
        run_classes(found, good, bad)
    except VrlprobeError:
        if asked:
            raise
        return found
    try:
        return by_class(found, components, good=good, bad=bad)
    except VrlprobeError as error:
        if asked:
            raise
        click.echo(f"warning: {error}; drawn run by run", err=True)
        return found


def draw_probe(found: xr.Dataset) -> Figure:
    """The figure that suits a result of a probe: curves over training, or a heat map."""
    if (found["checkpoint"] != "").sum("frame").max() < 2:
        return layers_figure.draw(found)
    names = probe_figure.default_components(found)
    return probe_figure.draw(probe_rows(found, names), names)


def probe_result(inputs: Sequence[Path], runs: str | None, layers: str | None) -> xr.Dataset:
    """Results of probes as one, of the runs and layers asked for."""
    found = result(inputs, "probe", split_list(runs))
    there = found["layer"].values.tolist()
    return found.sel(layer=chosen(split_list(layers), there, "layer"))


@plot.command(short_help="R² by layer and component, with the sparsity.")
@figure_options
@components_option
@layers_option
@runs_option
@click.option("--frame", help="Of the checkpoints drawn.  [default: each run's last]")
def layers(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    runs: str | None,
    frame: str | None,
) -> None:
    """Where each component is: R² by layer and component, with the chosen sparsity.

    INPUTS are results of `vrlprobe probe`. A panel a run; the best layer is framed.
    """
    check_output(output, data)
    found = probe_result(inputs, runs, layers)
    wanted = parse_frames(frame or "last")
    if isinstance(wanted, list) and len(wanted) == 1:
        found = at_frame(found, *wanted)
    elif wanted != "last":
        raise click.BadParameter(f"one frame or last is needed, not {frame}", param_hint="--frame")
    finish(layers_figure.draw(found, chosen_components(found, components)), output, found, data)


def at_frame(found: xr.Dataset, frame: int) -> xr.Dataset:
    """A result at one frame, which every run must have."""
    there = found["frame"].values[(found["checkpoint"] != "").all("run").values].tolist()
    if frame not in there:
        known = ", ".join(map(str, there)) or "none that all runs have"
        raise SampleError(f"no frame {frame} in this result: there are {known}")
    return found.sel(frame=[frame])


@plot.command(short_help="Rank, correlation, zeros … of runs (Figure 4).")
@figure_options
@runs_option
@click.option("--layers", help="Comma-separated layers.  [default: mlp1,mlp2]")
@click.option(
    "--metrics", "names", help="Comma-separated variables, a column each.  [default: the paper's]"
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

    INPUTS are results of `vrlprobe metrics`. A row a run, collapse shaded.
    """
    check_output(output, data)
    found = result(inputs, "metrics", split_list(runs))
    drawable = [str(n) for n, v in found.data_vars.items() if v.dtype.kind == "f"]
    columns = chosen(split_list(names), drawable, "metric", metrics_figure.PAPERS)
    there = found["layer"].values.tolist()
    lines = chosen(split_list(layers), there, "layer", metrics_figure.PAPERS_LAYERS)
    finish(metrics_figure.draw(found, columns, lines), output, found, data)


@plot.command(short_help="Which metrics switch when a run comes out of collapse.")
@figure_options
@runs_option
def escape(inputs: tuple[Path, ...], output: Path, data: Path | None, runs: str | None) -> None:
    """Which metrics switch when runs come out of collapse, and when (the paper's section 5.1).

    INPUTS are results of `vrlprobe metrics` on one sample set; runs that stay stuck help to tell
    collapsed checkpoints from healthy ones.
    """
    check_output(output, data)
    drawn = escapes(result(inputs, "metrics", split_list(runs)))
    finish(escape_figure.draw(drawn), output, drawn.assign_attrs(vrlprobe="escapes"), data)


@plot.command(short_help="Returns of cohorts over training (Figure 5).")
@figure_options
@names_option
def cohort(inputs: tuple[Path, ...], output: Path, data: Path | None, names: str | None) -> None:
    """Returns of cohorts over training (the paper's Figure 5).

    INPUTS are results of `vrlprobe cohort RUN… -o NAME.nc`, a line each: mean, 5th to 95th
    percentile over runs as the band, the mean's 95% interval apart.
    """
    check_output(output, data)
    drawn = returns(named(inputs, "cohort", names))
    finish(cohort_figure.draw(drawn), output, drawn.assign_attrs(vrlprobe="returns"), data)


@plot.command(short_help="Which layer beats which, and how surely.")
@figure_options
@components_option
@layers_option
@runs_option
@click.option("--only", type=click.Choice(["good", "middle", "bad"]), help="Runs of this class.")
@class_options
def order(
    inputs: tuple[Path, ...],
    output: Path,
    data: Path | None,
    components: str | None,
    layers: str | None,
    runs: str | None,
    only: str | None,
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
    if only:
        classes = run_classes(found, good, bad)
        members = [run for run, name in classes.items() if name == only]
        if not members:
            returned = ", ".join(
                f"{run} {last_checkpoint(found, run)['episode_return'].item():.0f}"
                for run in classes
            )
            raise SampleError(f"no run is {only}; they return: {returned}")
        found = found.sel(run=members)
    names = chosen_components(found, components, probe_figure.default_components(found))
    drawn = order_study(found, names)
    finish(order_figure.draw(drawn), output, drawn, data)


@plot.command(short_help="Who succeeds from which parts (Figure 3).")
@figure_options
def transplant(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """Who succeeds from which CNN and MLP, and how fast (the paper's Figure 3).

    INPUTS is one result of `vrlprobe cohort --by init RUN… -o grid.nc`.
    """
    check_output(output, data)
    if len(inputs) > 1:
        raise click.UsageError("this figure shows one cohort: count all runs in one")
    (drawn,) = results(inputs, "cohort").values()
    if "group" not in drawn.dims:
        raise SampleError(
            f"{inputs[0]} is not grouped: make it with vrlprobe cohort --by init RUN… -o FILE"
        )
    finish(transplant_figure.draw(drawn), output, drawn, data)


@plot.command(short_help="How early a run's end can be told.")
@figure_options
@click.option("--metrics", "names", help="Comma-separated metrics.  [default: the best four]")
def foretell(inputs: tuple[Path, ...], output: Path, data: Path | None, names: str | None) -> None:
    """How early a run's end can be told from which metric, and what stopping on it saves.

    INPUTS is one result of `vrlprobe foretell RUN… -o foretell.nc`.
    """
    check_output(output, data)
    if len(inputs) > 1:
        raise click.UsageError("this figure shows one set of runs: foretell them together")
    (drawn,) = results(inputs, "foretell").values()
    lines = chosen(
        split_list(names), drawn["metric"].values.tolist(), "metric",
        best_metrics(drawn, FORETELL_LINES),
    )  # fmt: skip
    finish(foretell_figure.draw(drawn, lines), output, drawn, data)


@plot.command(short_help="How long collapse lasts, and when to give up.")
@figure_options
def outlook(inputs: tuple[Path, ...], output: Path, data: Path | None) -> None:
    """How long attempts stay in collapse, and how many frames an escape takes if all are given up.

    INPUTS is one result of `vrlprobe outlook RUN… -o outlook.nc`.
    """
    check_output(output, data)
    if len(inputs) > 1:
        raise click.UsageError("this figure shows one set of runs: take them together")
    (drawn,) = results(inputs, "outlook").values()
    finish(outlook_figure.draw(drawn), output, drawn, data)


plot.add_command(atoms)
plot.add_command(film)
