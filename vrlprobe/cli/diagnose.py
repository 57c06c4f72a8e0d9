"""`vrlprobe diagnose`: why is my agent stuck?"""

from functools import partial
from pathlib import Path

import click
import xarray as xr

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.analyses.shared.defaults import DIAGNOSED
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    one_frame,
    progress,
    samples_option,
    window_option,
    write_result,
)
from vrlprobe.cli.run_name import RunName
from vrlprobe.runs.output import result_kind


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option(
    "--against", multiple=True, type=RunName(), metavar="RUN[@FRAME]",
    help="Checkpoint of an agent that acts, or good; repeatable.  "
    "[default: the run's own earlier checkpoint that acts most, and blank networks]",
)  # fmt: skip
@samples_option
@click.option("--frame", default="last", show_default=True, help="last, best or a frame.")
@window_option
@click.option(
    "-n", "--n-samples", type=click.IntRange(min=4), default=DIAGNOSED, show_default=True,
    help="Largest number of observations.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True,
    help="Random seed of blank networks and the bootstrap.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, help="Also save the result (NetCDF), for the report.")
def diagnose(
    runs: tuple[Path, ...],
    against: tuple[str, ...],
    sample_paths: tuple[Path, ...],
    frame: str,
    window: int | None,
    n_samples: int,
    seed: int,
    output: Path | None,
) -> None:
    """Tell why RUNS are stuck: since when, which part and layer, what lasts, and what to do.

    Each agent exchanges its encoder and actor with a reference that acts, and takes its
    activations, layer by layer; both are measured on the same observations.

    \b
    vrlprobe diagnose runs/seed3.h5 --against runs/seed1.h5 --samples set.h5
    vrlprobe diagnose runs/*.h5 --against good --samples set.h5 -o diagnose.nc
    """
    with Session() as session:
        opened = session.runs(runs)
        if output:
            check_writable(output, result_kind("diagnose"))
        result = analyses.diagnose(
            opened,
            against,
            session.samples(sample_paths),
            frame=one_frame(frame),
            window=window,
            n_samples=n_samples,
            seed=seed,
            track=partial(progress, what="diagnosing"),
        )
        if output:
            write_result(result, output)
    click.echo(describe(result))
    if output:
        click.echo(f"wrote {output}", err=True)


def describe(result: xr.Dataset) -> str:
    """Each run's diagnosis, the layers side by side, and how the parts differ."""
    parts = []
    for run in result["run"].values.tolist():
        parts += [f"{run}\n{result['text'].sel(run=run).item()}", _gaps(result.sel(run=run))]
    note = f"on {result.attrs['n_samples']} observations of {result.attrs['task']}"
    parts += [f"share of each layer that varies, {note}\n{_layers(result)}"]
    return "\n\n".join(part for part in parts if part)


def _layers(result: xr.Dataset) -> str:
    """A row an agent."""
    return aligned(
        [
            {
                "agent": agent,
                "action std": f"{result['action_spread'].sel(agent=agent).item():.2g}",
                **{
                    layer: f"{result['variation'].sel(agent=agent, layer=layer).item():.2g}"
                    for layer in result["layer"].values.tolist()
                },
            }
            for agent in result["agent"].values.tolist()
        ]
    )


def _gaps(part: xr.Dataset) -> str:
    """How much better the state is read from the references, part by part."""
    known = part["r2_gap"].sel(bound="estimate").notnull().any("part")
    names = part["reference"].values[known.values].tolist()
    if not names:
        return ""
    rows = [
        {
            "reference minus run": name,
            **{each: _bounds(part["r2_gap"].sel(reference=name, part=each))
               for each in part["part"].values.tolist()},
        }
        for name in names
    ]  # fmt: skip
    told = "R² of ridge probes, mean over layers and components (95% interval over episodes)"
    return f"{told}\n{aligned(rows)}"


def _bounds(values: xr.DataArray) -> str:
    estimate, low, high = values.values.tolist()
    if estimate != estimate:
        return "-"
    return f"{estimate:+.2f}" + (f" ({low:+.2f} to {high:+.2f})" if low == low else "")
