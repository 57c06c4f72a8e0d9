"""`vrlprobe metrics`: rank, correlation, dead units, gradient norm of every checkpoint."""

from functools import partial
from pathlib import Path

import click
import xarray as xr

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.analyses.shared.defaults import OBSERVATIONS
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    parse_frames,
    progress,
    result_path,
    samples_option,
    split_list,
    write_result,
)
from vrlprobe.metrics.representation import DORMANT_DRM
from vrlprobe.runs.output import result_kind

OWN = (Path("own"),)
SHOWN = {
    "numerical_rank": ("rank", ".1f"),
    "correlation_samples": ("cosine", ".3f"),
    "dead_units": ("dead", ".0f"),
    "grad_norm": ("gradient", ".0e"),
}
"""Variables in the table: heading and format. The file has all of them."""


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--frames", default="all", show_default=True, help="all, last, best or F,F,….")
@click.option("--layers", help="Comma-separated layers.  [default: mlp0 to mlp2]")
@samples_option
@click.option(
    "-n", "--n-samples", type=click.IntRange(min=2), default=OBSERVATIONS,
    show_default=True, help="Largest number of observations.",
)  # fmt: skip
@click.option(
    "--dormant-threshold", type=click.FloatRange(min=0), default=DORMANT_DRM, show_default=True,
    help="Threshold of the dormant ratio; ReDo's is 0.1.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, help="Result file.  [default: RUN.metrics.nc]")
def metrics(
    runs: tuple[Path, ...],
    frames: str,
    layers: str | None,
    sample_paths: tuple[Path, ...],
    n_samples: int,
    dormant_threshold: float,
    output: Path | None,
) -> None:
    """Measure how collapsed the MLP layers of RUNS are at every checkpoint.

    Every checkpoint sees the same observations; `--samples own` uses each one's own rollout
    instead, in which a collapsed agent may stand still, so that everything looks alike.
    """
    output = result_path(output, runs, "metrics")
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, result_kind("metrics"))
        result = analyses.metrics(
            opened,
            "own" if sample_paths == OWN else session.samples(sample_paths),
            frames=parse_frames(frames),
            layers=split_list(layers),
            n_samples=n_samples,
            dormant_threshold=dormant_threshold,
            track=partial(progress, what="measuring"),
        )
        write_result(result, output)
    click.echo("\n\n".join(describe(result.sel(run=name)) for name in result["run"].values))
    click.echo(f"wrote {output}", err=True)


def describe(part: xr.Dataset) -> str:
    """One run's table: a row a checkpoint, the chosen variables of each layer side by side."""
    there = part.isel(frame=part["checkpoint"].values != "")
    agent = {"frame": ("frame", ".0f"), "episode_return": ("return", ".0f")}
    blocks = [("", _columns(there, agent | {"action_spread": ("spread", ".1g")}))]
    for layer in there["layer"].values:
        at = there.sel(layer=layer)
        shown = {name: form for name, form in SHOWN.items() if at[name].notnull().any()}
        blocks.append((str(layer), _columns(at, shown)))
    lines = [[name, *text.splitlines()] for name, text in blocks]
    widths = [max(map(len, block)) for block in lines]
    table = "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*lines, strict=True)
    )
    head = f"{part['run'].item()}: {part.attrs['task']}, {part.attrs['n_samples']} observations"
    return f"{head}\n\n{table}"


def _columns(part: xr.Dataset, shown: dict[str, tuple[str, str]]) -> str:
    columns = [
        [heading, *("-" if v != v else format(v, form) for v in part[name].values.tolist())]
        for name, (heading, form) in shown.items()
    ]
    rows = zip(*(column[1:] for column in columns), strict=True)
    return aligned([dict(zip((c[0] for c in columns), row, strict=True)) for row in rows])
