"""`vrlprobe stitch`: every CNN with every MLP of checkpoints, played without training."""

from functools import partial
from pathlib import Path

import click
import xarray as xr

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.analyses.shared.defaults import EPISODES
from vrlprobe.cli.cache import cache_folder, cache_options
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    progress,
    samples_option,
    told_how_to_go_on,
    write_result,
)
from vrlprobe.cli.jobs import jobs_option
from vrlprobe.cli.run_name import RunName
from vrlprobe.runs.output import result_kind


@click.command()
@click.argument("checkpoints", metavar="RUN[@FRAME]...", nargs=-1, required=True, type=RunName())
@samples_option
@click.option(
    "--episodes", type=click.IntRange(0), default=EPISODES, show_default=True,
    help="Episodes played with each pair, from the same initial states; 0 plays none.",
)  # fmt: skip
@click.option(
    "--adapter", is_flag=True,
    help="Also play each pair with a linear map between CNN and MLP, fitted on the samples.",
)  # fmt: skip
@click.option(
    "--runs", type=FILE, default="runs", show_default=True,
    help="Folder of the finished runs from which good, middle and bad are drawn.",
)  # fmt: skip
@click.option("--task", help="Task of those runs, if there are several.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True,
    help="Random seed of the initial states, the draw, blank parts and the bootstrap.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, required=True, help="Result file (NetCDF).")
@jobs_option("Processes.")
@cache_options("pairs")
def stitch(
    checkpoints: tuple[str, ...],
    sample_paths: tuple[Path, ...],
    episodes: int,
    adapter: bool,
    runs: Path,
    task: str | None,
    seed: int,
    output: Path,
    jobs: int,
    cache: Path | None,
    no_cache: bool,
) -> None:
    """Tell which part of a stuck agent is to blame: its CNN or its MLP.

    Every CNN plays with every MLP of the given checkpoints, two or more, without training. A
    checkpoint is a run file, with @FRAME, @best or @collapsed where another than the last is meant;
    @0,20000 and @all are several of one run. Or it is good, middle or bad, drawn from the finished
    runs under --runs, or blank, freshly initialised.

    \b
    vrlprobe stitch runs/seed1.h5 runs/seed3.h5 --samples set.h5 -o stitch.nc
    vrlprobe stitch runs/seed3.h5@all --samples set.h5 --episodes 0 -o over-training.nc
    vrlprobe stitch good bad blank --samples set.h5 --adapter -o stitch.nc
    """
    kept_in = cache_folder(cache, no_cache)
    with Session() as session:
        check_writable(output, result_kind("stitch"))
        with told_how_to_go_on(kept=kept_in is not None):
            result = analyses.stitch(
                checkpoints,
                session.samples(sample_paths),
                episodes=episodes,
                adapter=adapter,
                runs=runs,
                task=task,
                seed=seed,
                cache=kept_in,
                n_jobs=jobs,
                track=partial(progress, what="playing" if episodes else "measuring"),
            )
        write_result(result, output)
    click.echo(describe(result))
    click.echo(f"wrote {output}", err=True)


def describe(result: xr.Dataset) -> str:
    """The answer, a row a pair, and what the columns mean."""
    adapters = result["adapter"].values.tolist() if "adapter" in result.dims else [None]
    rows = [
        _row(result.sel(cnn=cnn, mlp=mlp), adapter)
        for cnn in result["cnn"].values
        for mlp in result["mlp"].values
        for adapter in adapters
    ]
    notes = [
        f"action std, R² and rank (numerical, of mlp1) on {result.attrs['n_test']} observations",
        "R² CNN, R² MLP: agreement with the actions of the agent that the CNN or the MLP is from",
        "(- where its action is constant)",
    ]
    if result.sizes["episode"]:
        notes.append(
            "in brackets 95% intervals over episodes of these checkpoints, not over trainings"
        )
    return "\n\n".join([str(result.attrs["answer"]), aligned(rows), "\n".join(notes)])


def _row(pair: xr.Dataset, adapter: str | None) -> dict[str, str]:
    at = pair if adapter is None else pair.sel(adapter=adapter)
    low, high = (at["mean_return"].sel(bound=bound).item() for bound in ("low", "high"))
    interval = "" if low != low else f" ({low:.0f} to {high:.0f})"
    returned = f"{_number(at['mean_return'].sel(bound='estimate').item(), '.0f')}{interval}"
    return {
        "CNN": str(pair["cnn"].item()),
        "MLP": str(pair["mlp"].item()),
        **({} if adapter is None else {"between": adapter}),
        **({"return": returned} if at.sizes["episode"] else {}),
        "action std": _number(at["action_spread"].item(), ".2g"),
        "rank": _number(at["numerical_rank"].item(), ".1f"),
        "R² CNN": _number(at["action_r2"].sel(part="cnn").item(), ".2f"),
        "R² MLP": _number(at["action_r2"].sel(part="mlp").item(), ".2f"),
    }


def _number(value: float, form: str) -> str:
    return "-" if value != value else format(value, form)
