"""What figures and tables are made of: results by the command that makes them, runs by name."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import xarray as xr

from vrlprobe.cli.common import split_list
from vrlprobe.errors import FormatError
from vrlprobe.results.combine import combine_results
from vrlprobe.results.file import load_result
from vrlprobe.runs.collection import open_logged
from vrlprobe.samples.selection import choose

MAKERS = {
    "probe": "vrlprobe probe {run} --frames all -o {stem}.probe.nc",
    "metrics": "vrlprobe metrics {run} -o {stem}.metrics.nc",
    "cohort": "vrlprobe cohort RUN… -o {stem}.cohort.nc",
    "contrast": "vrlprobe contrast PROBE.nc -o {stem}.nc",
    "foretell": "vrlprobe forecast RUN… -o {stem}.nc",
    "outlook": "vrlprobe survival RUN… -o {stem}.nc",
    "similarity": "vrlprobe similarity RUN… -o {stem}.nc",
    "diagnose": "vrlprobe diagnose RUN… -o {stem}.nc",
    "ablate": "vrlprobe intervene ablate RUN… -o {stem}.nc",
    "patch": "vrlprobe intervene patch RUN… -o {stem}.nc",
    "stitch": "vrlprobe stitch RUN[@FRAME]… -o {stem}.nc",
    "atoms": "vrlprobe plot units RUN --data {stem}.nc",
}
"""How each kind of result is made."""
READ = {
    "probe": ("checkpoint", "test_mse", "test_r2", "sparsity"),
    "metrics": ("checkpoint", "stage", "stage_begin", "stage_end"),
    "cohort": ("task", "final_return", "class", "verdict", "since", "out", "episode_return"),
}
"""Variables that commands read; older versions did not write all of them."""


def results(paths: Sequence[Path], kind: str) -> dict[str, xr.Dataset]:
    """Result files of one kind by their paths.

    Raises:
        FormatError: a run, or a result of another kind; the message says what makes the right one.
    """
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise FormatError(f"{twice} is given twice")
    return {str(path): _result(path, kind) for path in paths}


names_option = click.option(
    "--names", help="Comma-separated labels, one per input.  [default: the file names]"
)


def named(paths: Sequence[Path], kind: str, names: str | None) -> dict[str, xr.Dataset]:
    """Results of one kind by the labels that `--names` gives them, or by their files' names.

    Raises:
        UsageError: labels that are not one an input, or not different.
        FormatError: see `results`.
    """
    found = results(paths, kind).values()
    labels = split_list(names) or [path.name.split(".")[0] for path in paths]
    if len(labels) != len(paths) or len(set(labels)) < len(labels):
        alike = "" if names else "the inputs have names of one beginning: "
        raise click.UsageError(
            f"{alike}{len(paths)} different labels are needed, one an input (--names)"
        )
    return dict(zip(labels, found, strict=True))


def one_result(paths: Sequence[Path], kind: str, shown: str) -> xr.Dataset:
    """The result of a figure that shows one; ``shown`` is what it shows, and what to do.

    Raises:
        UsageError: there are several.
        FormatError: see `results`.
    """
    if len(paths) > 1:
        raise click.UsageError(f"this figure shows one {shown}")
    (found,) = results(paths, kind).values()
    return found


def result(paths: Sequence[Path], kind: str, runs: Sequence[str] | None = None) -> xr.Dataset:
    """Results of one kind as one; of these runs, in this order, if given."""
    found = combine_results(results(paths, kind))
    if runs is None:
        return found
    return found.sel(run=choose(runs, found["run"].values.tolist(), "run"))


def _result(path: Path, kind: str) -> xr.Dataset:
    if path.is_file() and _is_run(path):
        record = path.suffix == ".json"
        maker = _maker(kind, path, "RUN" if record else shlex.quote(str(path)))
        there = "the record of a run" if record else "a run"
        raise FormatError(f"{path} is {there}, a result is needed, made by: {maker}")
    found = load_result(path)
    maker = _maker(kind, path, "RUN…")
    if (there := found.attrs["vrlprobe"]) != kind:
        raise FormatError(
            f"{path} is a result of {there}, one of {kind} is needed, made by: {maker}"
        )
    for name in READ.get(kind, ()):
        if name not in found.variables:
            raise FormatError(f"{path} lacks {name!r}: make it again with this version: {maker}")
    return found


def _maker(kind: str, path: Path, run: str) -> str:
    """The command that makes a result of this kind, named after the file given in its place."""
    stem = path.stem.removesuffix(".probe").removesuffix(".metrics").removesuffix(".cohort")
    return MAKERS[kind].format(run=run, stem=shlex.quote(stem))


def is_result(path: Path) -> bool:
    """Whether a file is a result, and not a run."""
    return path.is_file() and not _is_run(path)


def _is_run(path: Path) -> bool:
    try:
        run = open_logged(path)
    except FormatError:
        return False
    if hasattr(run, "close"):
        run.close()
    return True
