"""`vrlprobe export`: a checkpoint as a plain state dict, recorded episodes as a Minari dataset."""

from functools import partial
from pathlib import Path

import click

from vrlprobe._text import aligned
from vrlprobe.analyses._export_minari import ALL, check_dataset, distinct, export_dataset
from vrlprobe.analyses.shared.names import frame_at, parse_at, split_name
from vrlprobe.cli.common import FILE, Session, check_writable, progress
from vrlprobe.cli.run_name import RunName
from vrlprobe.samples.selection import resolve_frames


@click.command()
@click.argument("checkpoints", metavar="RUN[@FRAME]...", nargs=-1, required=True, type=RunName())
@click.option("-o", "--output", type=FILE, help="State dict to write: .pt or .safetensors.")
@click.option(
    "--minari", metavar="ID", help="Dataset to make of the episodes: [NAMESPACE/]NAME-v0."
)
def export(checkpoints: tuple[str, ...], output: Path | None, minari: str | None) -> None:
    """Write a run's checkpoint as a plain state dict, under the published names.

    The @ is followed by a frame, last (the default), best or collapsed. Tensors have the
    reference's names after that of their part: encoder.convnet.0.weight, actor.trunk.0.weight …
    `vrlprobe import` reads the file back; docs/import.md loads it into the reference's agent.

    With --minari, the episodes recorded at the checkpoints, of several runs or of all checkpoints
    of a run (@all), become one dataset that `minari.load_dataset(ID)` finds. Needs the extra
    [minari].

    \b
    vrlprobe export runs/seed3.h5 -o seed3.safetensors
    vrlprobe export runs/seed3.h5@100000 -o early.pt
    vrlprobe export runs/seed3.h5@all runs/seed4.h5 --minari walker_walk/mixed-v0
    """
    if (output is None) == (minari is None):
        raise click.UsageError("name one of a state dict (-o x.safetensors) or --minari ID")
    if minari is not None:
        _dataset(checkpoints, minari)
    elif output is not None:
        if len(checkpoints) > 1:
            raise click.UsageError(f"a state dict is of one checkpoint, found {len(checkpoints)}")
        _state_dict(checkpoints[0], output)


def _state_dict(checkpoint: str, output: Path) -> None:
    from vrlprobe.analyses._export import check_export, export_checkpoint

    name, at = split_name(checkpoint)
    wanted = parse_at(at)
    check_export(output)
    check_writable(output, "a state dict")
    with Session() as session:
        (run,) = session.runs([Path(name)])
        frame, _ = frame_at(run, wanted)
        sizes = export_checkpoint(run, frame, output)
    click.echo(aligned([{"part": part, "parameters": f"{n:,}"} for part, n in sizes.items()]))
    click.echo(f"wrote {output}: the checkpoint at frame {frame:,}", err=True)


def _dataset(checkpoints: tuple[str, ...], dataset_id: str) -> None:
    check_dataset(dataset_id)
    named = [split_name(checkpoint) for checkpoint in checkpoints]
    wanted = [at if at == ALL else parse_at(at) for _, at in named]
    with Session() as session:
        runs = session.runs([Path(name) for name, _ in named])
        found = [
            (run, frame)
            for run, at in zip(runs, wanted, strict=True)
            for frame in (resolve_frames(run, ALL) if at == ALL else [frame_at(run, at)[0]])
        ]
        chosen = distinct(found)
        folder = export_dataset(chosen, dataset_id, track=partial(progress, what="writing"))
        rows = [
            {
                "run": run.path.name,
                "frame": f"{frame:,}",
                "episodes": str(len(run.rollout(frame))),
                "steps": f"{sum(run.rollout(frame).lengths):,}",
                "return": f"{run.rollout(frame).mean_return:.0f}",
            }
            for run, frame in chosen
        ]
    click.echo(aligned(rows))
    click.echo(f"wrote {folder}: minari.load_dataset({dataset_id!r})", err=True)
