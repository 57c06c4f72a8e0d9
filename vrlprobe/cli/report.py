"""`vrlprobe report`: one page about a cohort that opens anywhere."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import xarray as xr

from vrlprobe._text import byte_size
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    class_options,
    forced,
    progress,
    window_option,
)
from vrlprobe.cli.inputs import result, results
from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.report.write import check_page, parts_of, report_page, write_page
from vrlprobe.results.dataset import part_of
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.output import PAGE
from vrlprobe.runs.reader import Run
from vrlprobe.samples.selection import run_labels


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Page to write (.html).")
@click.option(
    "--probe", "probe_paths", multiple=True, type=FILE, metavar="RESULT",
    help="Result of `vrlprobe probe`; repeat it for several.  [default: RUN.probe.nc]",
)  # fmt: skip
@click.option(
    "--diagnosis", type=FILE, metavar="RESULT",
    help="Result of `vrlprobe diagnose -o`: the page's first section.",
)  # fmt: skip
@class_options
@window_option
def report(
    runs: tuple[Path, ...],
    output: Path,
    probe_paths: tuple[Path, ...],
    diagnosis: Path | None,
    good: float | None,
    bad: float | None,
    window: int | None,
) -> None:
    """Write one self-contained HTML page about RUNS that opens offline.

    It shows the cohort with verdicts, each run's curves, film strips at the start, middle and
    end, where the state is, and a slider over the checkpoints. Nothing is probed: results of
    `vrlprobe probe` are shown, by default those beside the runs (RUN.probe.nc).
    """
    check_page(output)
    check_writable(output, PAGE)
    with Session() as session:
        opened = session.logged(runs)
        named = result(probe_paths, "probe") if probe_paths else None
        probes = _beside(opened) if named is None else parts_of(named, opened)
        track = partial(progress, what="filming")
        told = _diagnosis(diagnosis)
        page = report_page(
            opened, probes, diagnosis=told, good=good, bad=bad, window=window, track=track
        )
    write_page(page, output, force=forced())
    pairs = zip(opened, probes, strict=True)
    missing = sum(result is None for run, result in pairs if isinstance(run, Run))
    if missing:
        click.echo(
            f"{missing} of {len(opened)} runs without a probe result: make it with vrlprobe probe "
            "RUN --samples SET --frames all, or name it with --probe",
            err=True,
        )
    click.echo(f"wrote {output} ({byte_size(len(page.encode()))})", err=True)


def _diagnosis(path: Path | None) -> xr.Dataset | None:
    """The result of `diagnose` in a file, if one is named."""
    return None if path is None else results([path], "diagnose")[str(path)]


def _beside(runs: Sequence[LoggedRun]) -> list[xr.Dataset | None]:
    """Each run's part of the probe result beside it, where there is one."""
    beside = [run.path.with_name(f"{run.path.stem}.probe.nc") for run in runs]
    return [
        _part(path, label, run) if path.is_file() else None
        for path, label, run in zip(beside, run_labels(runs), runs, strict=True)
    ]


def _part(path: Path, label: str, run: LoggedRun) -> xr.Dataset | None:
    """The run's part of the result beside it; None, with a word, where that is not of it."""
    try:
        found = result([path], "probe")
        if (part := part_of(found, run, label)) is None:
            raise FormatError(f"it shows {', '.join(found['run'].values)}, not {label}")
        return part
    except VrlprobeError as error:
        click.echo(f"warning: {path}: {error}; left out", err=True)
        return None
