"""`vrlprobe probe`: which layers linearly hold which parts of the state."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from vrlprobe import analyses
from vrlprobe.analyses.shared.defaults import CONTROLS
from vrlprobe.cli.cache import cache_folder, cache_options
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    forced,
    parse_frames,
    progress,
    refuse_idle,
    result_path,
    samples_option,
    split_list,
    told_how_to_go_on,
    warnings_on_stderr,
    write_result,
)
from vrlprobe.cli.jobs import jobs_option
from vrlprobe.figures.style import figure_kind
from vrlprobe.probes import DEFAULT_MAX_ATOMS
from vrlprobe.probes.kinds import PROBES
from vrlprobe.results.file import control_medians, last_checkpoint
from vrlprobe.runs.output import result_kind
from vrlprobe.samples.selection import choose
from vrlprobe.stats.bootstrap import FEWEST

LOWEST = -9.99
CONTROL_NOTES = {
    "shuffled": "shuffled: the median when probing for the states of other episodes at the same "
    "time, which is what the time within an episode tells",
    "blank": "blank: the median for an untrained network",
    "width": "width: the median for as many random units of each layer as the narrowest one has",
}
PROBE_NOTES = (
    "{kinds}: the median by each probe; all else is by {first}",
    "gap: the median of what mlp reads beyond the better linear probe; R² below 0 counts as 0",
)
SPLIT_NOTE = (
    "{n} splits: the episodes are assigned anew to training, validation and test; 95%: interval "
    "over splits and episodes (Nadeau and Bengio, 2003)"
)


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
    default="omp",
    show_default=True,
    help="Kind of probe: "
    + ", ".join(f"{name} ({kind.option})" for name, kind in PROBES.items())
    + "; several are compared (omp,ridge,mlp).",
)
@click.option(
    "--control",
    "controls",
    multiple=True,
    type=click.Choice(CONTROLS),
    help="Also fit a baseline: other episodes' states at the same time, an untrained network, or "
    "as many random units of each layer as the narrowest one has.",
)
@click.option(
    "--splits",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Fit again on so many splits of the samples' episodes, for intervals over them.",
)
@samples_option
@click.option(
    "--keep-own",
    is_flag=True,
    help="Keep the runs' own episodes, and their donors', in their test sets.",
)
@click.option(
    "-o", "--output", type=FILE,
    help="Result file.  [default: RUN.probe.nc; RUN.probe-ridge.nc, RUN.probe-omp-mlp.nc …]",
)  # fmt: skip
@jobs_option("Processes, each of up to 1.4 GB at the published size.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where networks run and probes are fitted: cpu, cuda, cuda:1 ….",
)
@cache_options("fits")
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
    splits: int,
    sample_paths: tuple[Path, ...],
    keep_own: bool,
    output: Path | None,
    jobs: int,
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
    kinds = choose(split_list(kind), PROBES, "probe")
    if "omp" not in kinds:
        refuse_idle(["max_atoms", "min_active"], f"is for omp, --probe {kind} is not sparse")
    kept_in = cache_folder(cache, no_cache)
    output = result_path(output, runs, "-".join(["probe", *([] if kinds == ["omp"] else kinds)]))
    with Session() as session:
        opened = session.runs(runs)
        check_writable(output, result_kind("probe"))
        if plot:
            _check_plot(plot)
        with told_how_to_go_on(kept=kept_in is not None):
            result = analyses.probe(
                opened,
                session.samples(sample_paths),
                frames=parse_frames(frames),
                layers=split_list(layers),
                components=split_list(components),
                kind=kinds,
                max_atoms=max_atoms,
                min_active=min_active,
                controls=list(dict.fromkeys(controls)),
                splits=splits,
                keep_own=keep_own,
                cache=kept_in,
                n_jobs=jobs,
                device=device,
                track=progress,
            )
        write_result(result, output)
    click.echo(to_json(result) if as_json else describe(result))
    click.echo(f"wrote {output}", err=True)
    if plot:
        _draw(result, plot)


def _check_plot(plot: Path) -> None:
    """Raise FormatError where the figure cannot be written, before the work is done."""
    from vrlprobe.figures.style import check_kind

    check_kind(plot)
    check_writable(plot, figure_kind(plot))


def _draw(result: xr.Dataset, plot: Path) -> None:
    from vrlprobe import figures

    with warnings_on_stderr():
        figures.plot(result).save(plot, force=forced())
    click.echo(f"wrote {plot}", err=True)


def describe(result: xr.Dataset) -> str:
    """One table a run, of its last frame, and what the marks mean."""
    arguments = json.loads(result.attrs["arguments"])
    parts = [_describe_run(last_checkpoint(result, name)) for name in result["run"].values]
    notes = ["R² on the test samples; * marks each component's best layer, - a constant one"]
    notes += _constants(result)
    if bool(result["at_edge"].any()):
        notes.append(PROBES[arguments["probe"]].edge_note.format(**arguments))
    if "control" in result.dims:
        notes += [CONTROL_NOTES[name] for name in result["control"].values]
        notes += _better_controls(result)
    if "probe" in result.dims:
        shown = PROBE_NOTES if "nonlinear_gap" in result else PROBE_NOTES[:1]
        kinds = result["probe"].values.tolist()
        notes += [note.format(kinds=", ".join(kinds), first=kinds[0]) for note in shown]
    if "split" in result.dims:
        notes.append(SPLIT_NOTE.format(n=result.sizes["split"]))
        if result.sizes["run"] > 1:
            parts.append(_describe_runs(result))
    if (result["checkpoint"] != "").sum("frame").max() > 1:
        notes.append(f"the last of {result.sizes['frame']} frames is shown; the file has all")
    return "\n\n".join([*parts, "\n".join(notes)])


def _constants(result: xr.Dataset) -> list[str]:
    """The components that are constant in the test samples, by name."""
    found: dict[str, list[str]] = {}
    for run in result["run"].values.tolist():
        r2 = last_checkpoint(result, run)["test_r2"]
        for name in r2["component"].values[r2.isnull().all("layer").values].tolist():
            found.setdefault(name, []).append(run)
    told = {
        name: name if len(runs) == result.sizes["run"] else f"{name} ({', '.join(runs)})"
        for name, runs in found.items()
    }
    return [f"constant in the test samples: {', '.join(told.values())}"] if told else []


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
    rows += _median_rows(last)
    text = f"{_head(last)}\n\n{_table(rows)}"
    return f"{text}\n\n{_describe_splits(last)}" if "split" in last.dims else text


def _describe_splits(last: xr.Dataset) -> str:
    """One line a layer: its median R² over components on the set's own split, and over all."""
    medians = last["split_test_r2"].median("component").transpose("split", "layer").values
    bounds = last["splits_r2"].transpose("bound", "layer").values
    columns = (medians[0], bounds[0], medians.min(axis=0), medians.max(axis=0))
    rows = [["median R²", "own split", f"{len(medians)} splits", "least", "most", "95%"]]
    for place, layer in enumerate(last["layer"].values):
        cells = [_plain_cell(column[place]) for column in columns]
        rows.append([str(layer), *cells, _interval(*bounds[1:, place])])
    return _table(rows)


def _describe_runs(result: xr.Dataset) -> str:
    """One line a layer: the runs' mean and its intervals."""
    from vrlprobe.analyses.shared.variants import over_runs  # with networks: takes seconds

    found = over_runs(result)
    n_runs, n_splits = result.sizes["run"], result.sizes["split"]
    rows = [["median R²", f"mean of {n_runs} runs", "95% over runs", f"95% over {n_splits} splits"]]
    for layer in found["layer"].values:
        one = found.sel(layer=layer)
        both = [_interval(*one[name].values[1:]) for name in ("runs", "splits")]
        rows.append([str(layer), _plain_cell(one["runs"].values[0]), *both])
    if n_runs < FEWEST:
        return f"{_table(rows)}\n\nan interval over runs needs {FEWEST} of them"
    return _table(rows)


def _interval(low: float, high: float) -> str:
    if math.isnan(low):
        return "-"
    return f"{_plain_cell(low)} to {_plain_cell(high)}"


def _plain_cell(value: float) -> str:
    return _cell(value, False, False).strip()


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


def _median_rows(last: xr.Dataset) -> list[list[str]]:
    """The median R² over components for each layer, that of each control and kind of probe."""
    medians = control_medians(last) if "control" in last.dims else {}
    found: dict[str, xr.DataArray] = {}
    if "probe" in last.dims:
        found |= {str(kind): last["probe_test_r2"].sel(probe=kind) for kind in last["probe"].values}
    if "nonlinear_gap" in last:
        found["gap"] = last["nonlinear_gap"]
    medians |= {name: r2.median("component").sel(layer=last["layer"]) for name, r2 in found.items()}
    rows = [[name, *(_cell(v, False, False) for v in r2.values)] for name, r2 in medians.items()]
    return [[""] * (last.sizes["layer"] + 1), *rows] if rows else []


def _better_controls(result: xr.Dataset) -> list[str]:
    """A warning for each run and control that has a higher median in some layer."""
    lines = []
    for run in result["run"].values.tolist():
        own, *controls = control_medians(last_checkpoint(result, run)).items()
        for name, r2 in controls:
            if name.endswith("width"):
                continue  # units of the same network
            above = r2.values > own[1].values
            layers = r2["layer"].values[above].tolist()
            pairs = zip(layers, r2.values[above], own[1].values[above], strict=True)
            if told := ", ".join(f"{layer} ({c:.2f} to {o:.2f})" for layer, c, o in pairs):
                lines.append(f"warning: {run} holds no more than its control ({name}) in {told}")
    return lines


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
    from vrlprobe.analyses.shared.variants import DIMS  # with networks: takes seconds

    dims = ("run", "frame", "layer", "component")
    names = [str(name) for name, values in result.data_vars.items() if values.dims == dims]
    shape = [result.sizes[dim] for dim in dims]
    records: list[dict[str, Any]] = []
    for at in np.ndindex(*shape):
        where = {dim: result[dim].values[i].item() for dim, i in zip(dims, at, strict=True)}
        if result["sparsity"].values[at] < 0:
            continue
        values = {name: _plain(result[name].values[at].item()) for name in names}
        for dim in DIMS:
            if dim in result.dims:
                values[f"{dim}s"] = _further(result, dim, at)
        records.append({**where, **values})
    attributes = {str(key): _parsed(value) for key, value in result.attrs.items()}
    return json.dumps({"attributes": attributes, "records": records}, indent=1)


def _further(result: xr.Dataset, dim: str, at: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Label along a dimension of further fits -> its variables at one place of the others."""
    dims = (dim, "run", "frame", "layer", "component")
    names = [name for name, values in result.data_vars.items() if values.dims == dims]
    return {
        str(label): {str(n): _plain(result[n].values[place, *at].item()) for n in names}
        for place, label in enumerate(result[dim].values)
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "{[":
        return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value
