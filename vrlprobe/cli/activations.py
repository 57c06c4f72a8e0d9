"""`vrlprobe activations`: a checkpoint's layers on a sample set, as NetCDF."""

from pathlib import Path

import click

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    one_frame,
    samples_option,
    split_list,
    write_result,
)
from vrlprobe.runs.output import result_kind


@click.command()
@click.argument("run", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="The NetCDF file to write.")
@click.option("--frame", default="last", show_default=True, help="Checkpoint: last, best, F.")
@click.option("--layers", help="Comma-separated layers, for instance cnn4,mlp1.  [default: all]")
@samples_option
def activations(
    run: Path, output: Path, frame: str, layers: str | None, sample_paths: tuple[Path, ...]
) -> None:
    """Write the activations of one checkpoint of RUN for each sample, along with the states."""
    at = one_frame(frame)
    with Session() as session:
        check_writable(output, result_kind("activations"))
        result = analyses.activations(
            session.runs([run])[0],
            session.samples(sample_paths),
            frame=at,
            layers=split_list(layers),
        )
        write_result(result, output)
    rows = [
        {"layer": str(name), "samples": str(len(values)), "units": str(values.shape[1])}
        for name, values in result.data_vars.items()
        if name != "state"
    ]
    click.echo(f"{result.attrs['task']}, frame {result.attrs['frame']}\n\n{aligned(rows)}")
    click.echo(f"wrote {output}", err=True)
