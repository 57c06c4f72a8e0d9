"""`vrlprobe intervene`: agents with their activations changed."""

from functools import partial
from pathlib import Path

import click
import xarray as xr

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.analyses.shared.defaults import DRAWS, EPISODES, OBSERVATIONS, UNITS
from vrlprobe.cli.cache import cache_folder, cache_options
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    one_frame,
    progress,
    result_path,
    samples_option,
    split_list,
    told_how_to_go_on,
    write_result,
)
from vrlprobe.cli.jobs import jobs_option
from vrlprobe.cli.run_name import RunName
from vrlprobe.runs.output import result_kind


@click.group()
def intervene() -> None:
    """Change an agent's activations, and see what it does.

    `ablate` asks whether an agent uses what a probe reads; `patch` asks which layer of a stuck
    agent is to blame.
    """


@intervene.command(short_help="Remove a component's direction from a layer, and play.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--layer", required=True, help="Layer whose activations are changed.")
@click.option("--component", required=True, help="Component of the state to remove.")
@samples_option
@click.option("--frame", default="last", show_default=True, help="last, best or a frame.")
@click.option(
    "--probe", type=click.Choice(["ridge", "omp"]), default="ridge", show_default=True,
    help="Kind of linear probe.",
)  # fmt: skip
@click.option(
    "--direction", type=click.Choice(["pattern", "weights"]), default="pattern", show_default=True,
    help="Covariance of the activations with the probe's prediction, or its coefficients.",
)  # fmt: skip
@click.option(
    "--directions", type=click.IntRange(1), default=1, show_default=True,
    help="Directions to remove, each of a probe of what the ones before leave.",
)  # fmt: skip
@click.option(
    "--units", type=click.IntRange(1), default=UNITS, show_default=True,
    help="Control: strongest units that are set to their means.",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(1), default=DRAWS, show_default=True,
    help="Controls: random directions, and shuffled targets, to average over.",
)  # fmt: skip
@click.option(
    "--episodes", type=click.IntRange(0), default=EPISODES, show_default=True,
    help="Episodes under each condition, from the same initial states; 0 plays none.",
)  # fmt: skip
@click.option("--keep-own", is_flag=True, help="Test runs on their own episodes, too.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True,
    help="Random seed of the initial states and the bootstrap.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, help="Result file.  [default: RUN.ablate.nc]")
@jobs_option("Processes.")
@cache_options("episodes and fits")
def ablate(
    runs: tuple[Path, ...],
    layer: str,
    component: str,
    sample_paths: tuple[Path, ...],
    frame: str,
    probe: str,
    direction: str,
    directions: int,
    units: int,
    draws: int,
    episodes: int,
    keep_own: bool,
    seed: int,
    output: Path | None,
    jobs: int,
    cache: Path | None,
    no_cache: bool,
) -> None:
    """Tell whether RUNS use what a probe reads: remove its direction from a layer, and play.

    The agent plays from the same initial states intact, without the probe's direction, and under
    three controls: random directions that remove as much variance, directions of probes of shuffled
    targets, and the strongest units set to their means. A fresh probe says whether the component is
    gone.

    \b
    vrlprobe intervene ablate runs/seed1.h5 --layer mlp1 --component height --samples set.h5
    """
    kept_in = cache_folder(cache, no_cache)
    output = result_path(output, runs, "ablate")
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, result_kind("ablate"))
        with told_how_to_go_on(kept=kept_in is not None):
            result = analyses.ablate(
                opened,
                session.samples(sample_paths),
                layer=layer,
                component=component,
                frame=one_frame(frame),
                probe=probe,
                direction=direction,
                directions=directions,
                units=units,
                draws=draws,
                episodes=episodes,
                keep_own=keep_own,
                seed=seed,
                cache=kept_in,
                n_jobs=jobs,
                track=partial(progress, what="playing" if episodes else "measuring"),
            )
        write_result(result, output)
    click.echo(describe(result))
    click.echo(f"wrote {output}", err=True)


def describe(result: xr.Dataset) -> str:
    """The answer, a row a condition, and what the columns mean."""
    several = result.sizes["run"] > 1
    parts = [str(result.attrs["answer"])]
    for run in result["run"].values.tolist():
        table = _conditions(result.sel(run=run))
        parts.append(f"{run}\n{table}" if several else table)
    notes = [
        "removed: share of the layer's variance; R²: of a probe fitted to what is left;",
        "actions: root mean square change over the test samples",
    ]
    if result.sizes["episode"]:
        notes.append(
            "return, beyond: change of return, and the probe's minus this condition's, with 95% "
            "intervals\nover episodes of this agent"
        )
    return "\n\n".join([*parts, "\n".join(notes)])


def _conditions(part: xr.Dataset) -> str:
    from vrlprobe.analyses._ablate import bounds

    rows = []
    for condition in part["condition"].values.tolist():
        at = part.sel(condition=condition)
        row = {
            "condition": condition,
            "removed": f"{100 * at['variance_share'].mean().item():.1f}%",
            "R²": f"{at['test_r2'].mean().item():.2f}",
            "actions": f"{at['action_rmse'].mean().item():.2g}",
        }
        if part.sizes["episode"]:
            row["return"] = bounds(at["return_change"])
            row["beyond"] = bounds(at["beyond"])
        rows.append(row)
    return aligned(rows)


@intervene.command(short_help="Put another agent's activations into a stuck agent's layers.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option(
    "--from", "donors", metavar="RUN[@FRAME]", type=RunName(), multiple=True, required=True,
    help="Checkpoint of an agent that acts, or good, drawn from --runs; repeatable.",
)  # fmt: skip
@samples_option
@click.option("--frame", default="last", show_default=True, help="last, best or a frame.")
@click.option("--layers", help="Comma-separated layers.  [default: all but cnn0]")
@click.option(
    "-n", "--n-samples", type=click.IntRange(min=2), default=OBSERVATIONS, show_default=True,
    help="Largest number of observations.",
)  # fmt: skip
@click.option(
    "--runs", "folder", type=FILE, default="runs", show_default=True,
    help="Folder of the finished runs from which good, middle and bad are drawn.",
)  # fmt: skip
@click.option("--task", help="Task of those runs, if there are several.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True,
    help="Random seed of the draw and of blank networks.",
)  # fmt: skip
@click.option("-o", "--output", type=FILE, help="Result file.  [default: RUN.patch.nc]")
def patch(
    runs: tuple[Path, ...],
    donors: tuple[str, ...],
    sample_paths: tuple[Path, ...],
    frame: str,
    layers: str | None,
    n_samples: int,
    folder: Path,
    task: str | None,
    seed: int,
    output: Path | None,
) -> None:
    """Tell which layer of stuck RUNS is to blame: from which one on do actions vary again?

    One layer after the other takes the activations that another agent has for the same
    observations.

    \b
    vrlprobe intervene patch runs/seed3.h5 --from runs/seed1.h5 --samples set.h5
    """
    output = result_path(output, runs, "patch")
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, result_kind("patch"))
        result = analyses.patch(
            opened,
            donors,
            session.samples(sample_paths),
            frame=one_frame(frame),
            layers=split_list(layers),
            n_samples=n_samples,
            folder=folder,
            task=task,
            seed=seed,
            track=partial(progress, what="patching"),
        )
        write_result(result, output)
    click.echo(describe_patches(result))
    click.echo(f"wrote {output}", err=True)


def describe_patches(result: xr.Dataset) -> str:
    """The answer, and a row a pair with the action's standard deviation by layer."""
    rows = []
    for run in result["run"].values.tolist():
        for donor in result["donor"].values.tolist():
            at = result.sel(run=run, donor=donor)
            row = {"run": run, "from": donor, "none": f"{at['own_spread'].item():.2g}"}
            for layer in result["layer"].values.tolist():
                value = at["action_spread"].sel(layer=layer).item()
                row[layer] = "-" if value != value else f"{value:.2g}"
            rows.append(row)
    notes = (
        f"action std on {result.attrs['n_samples']} observations, with none or one of the layers "
        "replaced\n(- where their widths differ)"
    )
    return "\n\n".join([str(result.attrs["answer"]), aligned(rows), notes])
