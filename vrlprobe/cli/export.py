"""`vrlprobe export`: a checkpoint as a plain state dict."""

from pathlib import Path

import click

from vrlprobe.cli.common import FILE, Session, check_writable
from vrlprobe.cli.table import aligned
from vrlprobe.studies.exporting import check_export, export_checkpoint
from vrlprobe.studies.naming import frame_at, parse_at, split_name


@click.command(short_help="Write a checkpoint as a plain state dict.")
@click.argument("checkpoint", metavar="RUN[@FRAME]")
@click.option("-o", "--output", required=True, type=FILE, help="The file: .pt or .safetensors.")
def export(checkpoint: str, output: Path) -> None:
    """Write a run's checkpoint as a plain state dict, under the published names.

    Behind the @ stands a frame, or last (as without), best or collapsed. The tensors' names are
    those of the reference behind their part: encoder.convnet.0.weight, actor.trunk.0.weight …
    `vrlprobe import` reads the file again; docs/import.md loads it into the reference's agent.

    \b
    vrlprobe export runs/seed3.h5 -o seed3.safetensors
    vrlprobe export runs/seed3.h5@100000 -o early.pt
    """
    name, at = split_name(checkpoint)
    wanted = parse_at(at)
    check_export(output)
    check_writable(output)
    with Session() as session:
        (run,) = session.runs([Path(name)])
        frame, _ = frame_at(run, wanted)
        sizes = export_checkpoint(run, frame, output)
    click.echo(aligned([{"part": part, "parameters": f"{n:,}"} for part, n in sizes.items()]))
    click.echo(f"wrote {output}: the checkpoint at frame {frame:,}", err=True)
