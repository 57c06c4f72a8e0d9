"""`vrlprobe similarity`: linear CKA of layers between runs and over training."""

import itertools
from functools import partial
from pathlib import Path

import click
import numpy as np
import xarray as xr

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.analyses.shared.alike import classes_of, common_frames, pair_values
from vrlprobe.analyses.shared.defaults import COMPARED
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
from vrlprobe.runs.output import result_kind

MOST = 10
"""Pairs of runs that have a row each."""


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--frames", default="all", show_default=True, help="all, last, best or F,F,….")
@click.option("--layers", help="Comma-separated layers.  [default: all but cnn0]")
@samples_option
@click.option(
    "-n", "--n-samples", type=click.IntRange(min=4), default=COMPARED,
    show_default=True, help="Largest number of observations.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, help="Result file.  [default: RUN.similarity.nc]")
def similarity(
    runs: tuple[Path, ...],
    frames: str,
    layers: str | None,
    sample_paths: tuple[Path, ...],
    n_samples: int,
    output: Path | None,
) -> None:
    """Tell how alike the layers of RUNS are, between runs and over training.

    Every checkpoint sees the same observations. The similarity is linear CKA, which no rotation or
    scaling of a layer changes: 1 for layers that hold the same in another basis, 0 for independent
    ones. The estimator is unbiased, so it can be slightly negative.

    \b
    vrlprobe similarity runs/*.h5 --samples set.h5 -o similarity.nc
    vrlprobe plot similarity similarity.nc -o similarity.png
    """
    output = result_path(output, runs, "similarity")
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, result_kind("similarity"))
        result = analyses.similarity(
            opened,
            session.samples(sample_paths),
            frames=parse_frames(frames),
            layers=split_list(layers),
            n_samples=n_samples,
            track=partial(progress, what="comparing"),
        )
        write_result(result, output)
    click.echo(describe(result))
    click.echo(f"wrote {output}", err=True)


def describe(result: xr.Dataset) -> str:
    """A table of pairs of runs, and one of each run over training, where there are several."""
    parts = [f"{result.attrs['task']}, linear CKA on {result.attrs['n_samples']} observations"]
    runs, frames = result["run"].values.tolist(), common_frames(result)
    if len(runs) > 1 and frames:
        parts.append(f"between runs at frame {frames[-1]:,}\n{_pairs(result, frames[-1])}")
    if result.sizes["frame"] > 1:
        parts += [_over_training(result, run) for run in runs]
    return "\n\n".join(parts)


def _pairs(result: xr.Dataset, frame: int) -> str:
    """A row a pair of runs where they are few, and the means over pairs of classes."""
    runs = result["run"].values.tolist()
    classes = classes_of(result)
    rows = []
    if len(runs) * (len(runs) - 1) // 2 <= MOST:
        for one, other in itertools.combinations(classes or runs, 2):
            rows.append({"runs": f"{one}, {other}", **_row(result, [one], [other], frame)})
    members = {name: [run for run in classes if classes[run] == name] for name in classes.values()}
    if len(runs) > 2:
        for one, other in itertools.combinations_with_replacement(members, 2):
            count = _count(members[one], members[other])
            if count:
                name = f"mean of {count}: {one}, {other}"
                rows.append({"runs": name, **_row(result, members[one], members[other], frame)})
        if not members:
            rows.append({"runs": "mean", **_row(result, runs, runs, frame)})
    return aligned(rows)


def _count(runs: list[str], others: list[str]) -> int:
    return len(runs) * (len(runs) - 1) // 2 if runs == others else len(runs) * len(others)


def _row(result: xr.Dataset, runs: list[str], others: list[str], frame: int) -> dict[str, str]:
    found = {}
    for layer in result["layer"].values.tolist():
        values = pair_values(result["cka"].sel(layer=layer), runs, others, frame)
        found[layer] = _number(float(np.mean(values)) if values else float("nan"))
    return found


def _over_training(result: xr.Dataset, run: str) -> str:
    """A row a checkpoint, compared with the last one."""
    there = result["frame"].values[(result["checkpoint"].sel(run=run) != "").values].tolist()
    own = result["cka"].sel(run=run, other_run=run, other_frame=there[-1])
    rows = [
        {
            "frame": f"{frame}",
            "return": _number(result["episode_return"].sel(run=run, frame=frame).item(), ".0f"),
            **{str(at["layer"].item()): _number(at.item()) for at in own.sel(frame=frame)},
        }
        for frame in there
    ]
    return f"{run}, with its checkpoint at frame {there[-1]:,}\n{aligned(rows)}"


def _number(value: float, form: str = ".2f") -> str:
    return "-" if value != value else format(value, form)
