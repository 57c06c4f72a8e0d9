"""`vrlprobe probe`: which layers linearly hold which parts of the state."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr
from joblib import cpu_count

from vrlprobe import analyses
from vrlprobe.analyses.shared.cache import default_folder
from vrlprobe.analyses.shared.defaults import CONTROLS
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    parse_frames,
    progress,
    refuse_idle,
    result_path,
    samples_option,
    split_list,
    warnings_on_stderr,
)
from vrlprobe.probes import DEFAULT_MAX_ATOMS
from vrlprobe.results.file import PROBES, last_checkpoint, save_result

LOWEST = -9.99
EDGES = {
    "omp": "+ uses all {max_atoms} atoms: a larger --max-atoms may do better",
    "ridge": "+ takes the smallest or largest penalty tried",
    "mlp": "+ was still improving when training ended",
}
CONTROL_NOTES = {
    "shuffled": "shuffled: the median when probing for the states of other episodes at the same "
    "time, which is what the time within an episode tells",
    "blank": "blank: the median for an untrained network",
}


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--frames", default="last", show_default=True, help="last, all, best or F,F,….")
@click.option("--layers", help="Comma-separated layers.  [default: cnn0 to mlp2]")
@click.option("--components", help="Comma-separated components of the state.  [default: all]")
@click.option(
    "--max-atoms",
    type=click.IntRange(min=1),
    default=DEFAULT_MAX_ATOMS,
    show_default=True,
    help="Largest number of activations in a probe.",
)
@click.option(
    "--min-active",
    type=click.IntRange(min=1),
    help="Training samples on which an activation must be nonzero to be chosen.  "
    "[default: 1 in 100]",
)
@click.option(
    "--probe",
    "kind",
    type=click.Choice(list(PROBES)),
    default="omp",
    show_default=True,
    help="Sparse linear (omp), linear in all activations (ridge) or a small network (mlp).",
)
@click.option(
    "--control",
    "controls",
    multiple=True,
    type=click.Choice(CONTROLS),
    help="Also fit a baseline: other episodes' states at the same time, or an untrained network.",
)
@samples_option
@click.option(
    "--keep-own",
    is_flag=True,
    help="Keep the runs' own episodes, and their donors', in their test sets.",
)
@click.option(
    "-o", "--output", type=FILE,
    help="Result file.  [default: RUN.probe.nc; RUN.probe-ridge.nc, RUN.probe-mlp.nc]",
)  # fmt: skip
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    help="Processes, each of up to 1.4 GB at the published size.  [default: one per core]",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where networks run and probes are fitted: cpu, cuda, cuda:1 ….",
)
@click.option(
    "--cache",
    type=FILE,
    help="Folder where fits are kept, so that none is repeated.  [default: ~/.cache/vrlprobe]",
)
@click.option("--no-cache", is_flag=True, help="Neither read nor save fits.")
@click.option("--plot", type=FILE, help="Draw the result: .pdf, .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def probe(
    runs: tuple[Path, ...],
    frames: str,
    layers: str | None,
    components: str | None,
    max_atoms: int,
    min_active: int | None,
    kind: str,
    controls: tuple[str, ...],
    sample_paths: tuple[Path, ...],
    keep_own: bool,
    output: Path | None,
    jobs: int | None,
    device: str,
    cache: Path | None,
    no_cache: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Probe which layers of RUNS linearly encode which components of the state.

    The table shows R² on test episodes: 1 is exact, 0 no better than the test samples'
    own mean. Several RUNS are probed on the same samples into one result, named by -o.
    An interrupted call continues where it stopped; a second one finds everything fitted.
    """
    if kind != "omp":
        refuse_idle(["max_atoms", "min_active"], f"is for omp, --probe {kind} is not sparse")
    if no_cache:
        refuse_idle(["cache"], "names where fits are kept, --no-cache keeps none")
    output = result_path(output, runs, "probe" if kind == "omp" else f"probe-{kind}")
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output)
        if plot:
            _check_plot(plot)
        with _told_how_to_go_on(kept=not no_cache):
            result = analyses.probe(
                opened,
                session.samples(sample_paths),
                frames=parse_frames(frames),
                layers=split_list(layers),
                components=split_list(components),
                kind=kind,
                max_atoms=max_atoms,
                min_active=min_active,
                controls=list(dict.fromkeys(controls)),
                keep_own=keep_own,
                cache=None if no_cache else cache or default_folder(),
                n_jobs=jobs or cpu_count(),
                device=device,
                track=progress,
            )
        save_result(result, output)
    click.echo(to_json(result) if as_json else describe(result))
    click.echo(f"wrote {output}", err=True)
    if plot:
        _draw(result, plot)


def _check_plot(plot: Path) -> None:
    """Raise FormatError where the figure cannot be written, before the work is done."""
    from vrlprobe.figures.style import check_kind

    check_kind(plot)
    check_writable(plot)


def _draw(result: xr.Dataset, plot: Path) -> None:
    from vrlprobe import figures

    with warnings_on_stderr():
        figures.plot(result).save(plot)
    click.echo(f"wrote {plot}", err=True)


@contextmanager
def _told_how_to_go_on(*, kept: bool) -> Iterator[None]:
    """End with 130 on an interrupt, and say that nothing is lost where fits are kept."""
    try:
        yield
    except KeyboardInterrupt:
        goes_on = "; the same command goes on where it stopped" if kept else ""
        click.echo(f"stopped{goes_on}", err=True)
        sys.exit(130)


def describe(result: xr.Dataset) -> str:
    """One table a run, of its last frame, and what the marks mean."""
    arguments = json.loads(result.attrs["arguments"])
    parts = [_describe_run(last_checkpoint(result, name)) for name in result["run"].values]
    notes = ["R² on the test samples; * marks each component's best layer, - a constant one"]
    if bool(result["at_edge"].any()):
        notes.append(EDGES[arguments["probe"]].format(**arguments))
    if "control" in result.dims:
        notes += [CONTROL_NOTES[name] for name in result["control"].values]
    if (result["checkpoint"] != "").sum("frame").max() > 1:
        notes.append(f"the last of {result.sizes['frame']} frames is shown; the file has all")
    return "\n\n".join([*parts, "\n".join(notes)])


def _describe_run(last: xr.Dataset) -> str:
    scores = last["test_r2"].transpose("component", "layer").values
    edges = last["at_edge"].transpose("component", "layer").values
    rows = [["", *(f"{name}  " for name in last["layer"].values)]]
    for name, values, edge in zip(last["component"].values, scores, edges, strict=True):
        some = np.isfinite(values).any() and np.nanmax(values) >= 0.005  # else no layer holds it
        best = np.nanargmax(values) if some else -1
        cells = [
            _cell(v, at == best, bool(e))
            for at, (v, e) in enumerate(zip(values, edge, strict=True))
        ]
        rows.append([str(name), *cells])
    rows += _control_rows(last)
    return f"{_head(last)}\n\n{_table(rows)}"


def _head(last: xr.Dataset) -> str:
    """The line above a run's table: what was probed, and on what."""
    own = ""
    if last["contributed"]:
        own = ", its own among them" if _kept_own(last) else ", its own left out"
    value = last["episode_return"].item()
    returned = "return unknown" if value != value else f"return {value:.0f}"
    return (
        f"{last['run'].item()}: {last.attrs['task']}, frame {last['frame'].item()}, "
        f"{returned}; {last.attrs['n_train']} training, "
        f"{last.attrs['n_val']} validation, {last['n_test'].item()} test samples{own}"
    )


def _control_rows(last: xr.Dataset) -> list[list[str]]:
    """The median R² over components for each layer, and that of each control."""
    if "control" not in last.dims:
        return []
    found = {"median": last["test_r2"]}
    found |= {str(c): last["control_test_r2"].sel(control=c) for c in last["control"].values}
    medians = {name: r2.median("component").sel(layer=last["layer"]) for name, r2 in found.items()}
    return [
        [""] * (last.sizes["layer"] + 1),
        *([name, *(_cell(v, False, False) for v in r2.values)] for name, r2 in medians.items()),
    ]


def _kept_own(result: xr.Dataset) -> bool:
    return bool(json.loads(result.attrs["arguments"])["keep_own"])


def _cell(value: float, best: bool, edge: bool) -> str:
    if math.isnan(value):
        return "-  "
    text = f"{round(value, 2) + 0.0:.2f}" if value >= LOWEST else f"<{LOWEST:.0f}"
    return f"{text}{'*' if best else ' '}{'+' if edge else ' '}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as aligned text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def to_json(result: xr.Dataset) -> str:
    """The result as JSON: its attributes, and one record a run, frame, layer and component."""
    dims = ("run", "frame", "layer", "component")
    names = [str(name) for name, values in result.data_vars.items() if values.dims == dims]
    shape = [result.sizes[dim] for dim in dims]
    records: list[dict[str, Any]] = []
    for at in np.ndindex(*shape):
        where = {dim: result[dim].values[i].item() for dim, i in zip(dims, at, strict=True)}
        if result["sparsity"].values[at] < 0:
            continue
        values = {name: _plain(result[name].values[at].item()) for name in names}
        if "control" in result.dims:
            values["controls"] = _controls(result, at)
        records.append({**where, **values})
    attributes = {str(key): _parsed(value) for key, value in result.attrs.items()}
    return json.dumps({"attributes": attributes, "records": records}, indent=1)


def _controls(result: xr.Dataset, at: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Control -> its variables at one place of the other dimensions."""
    names = [name for name, values in result.data_vars.items() if "control" in values.dims]
    return {
        str(control): {str(n): _plain(result[n].values[place, *at].item()) for n in names}
        for place, control in enumerate(result["control"].values)
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "{[":
        return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value
