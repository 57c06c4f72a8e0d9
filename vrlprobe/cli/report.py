"""`vrlprobe report`: one page about a cohort that opens anywhere."""

from collections.abc import Sequence
from pathlib import Path

import click
import xarray as xr

from vrlprobe.cli.cohort import summary
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    class_options,
    progress,
    window_option,
)
from vrlprobe.cli.inputs import results
from vrlprobe.cli.table import byte_size
from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.format.reader import Run
from vrlprobe.format.record import Record
from vrlprobe.report.content import Strip, page_content
from vrlprobe.report.page import render
from vrlprobe.results import combine, written_at_once
from vrlprobe.selection import run_labels
from vrlprobe.studies import cohort, collapse
from vrlprobe.studies.common import part_of
from vrlprobe.studies.filming import film


@click.command(short_help="One HTML page about runs, to be opened offline.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Page (.html).")
@click.option(
    "--probe", "probe_paths", multiple=True, type=FILE, metavar="RESULT",
    help="Result of `vrlprobe probe`; give it once for each.  [default: RUN.probe.nc]",
)  # fmt: skip
@class_options
@window_option
def report(
    runs: tuple[Path, ...],
    output: Path,
    probe_paths: tuple[Path, ...],
    good: float | None,
    bad: float | None,
    window: int | None,
) -> None:
    """Write one self-contained HTML page about RUNS, to be opened offline.

    The cohort with verdicts, each run's curves, film strips at the start, middle and end,
    where the state is, and a slider over the checkpoints. Nothing is probed: results of
    `vrlprobe probe` are shown, those beside the runs (RUN.probe.nc) if none are named.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise FormatError(f"cannot write {output}: the name of a page must end in .html")
    check_writable(output)
    with Session() as session:
        opened = session.logged(runs)
        found = cohort(opened, good=good, bad=bad, window=window)
        verdicts = collapse(opened, window=window)
        probes = probed(opened, probe_paths)
        strips = [_strips(run) for run in progress(opened)]
        content = page_content(opened, found, verdicts, strips, probes)
        page = render({**content, "summary": summary(found).replace("\n", "; ")})
    with written_at_once(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    pairs = zip(opened, probes, strict=True)
    missing = sum(result is None for run, result in pairs if isinstance(run, Run))
    if missing:
        click.echo(
            f"{missing} of {len(opened)} runs without a probe result: make it with vrlprobe probe "
            "RUN --samples SET --frames all, or name it with --probe",
            err=True,
        )
    click.echo(f"wrote {output} ({byte_size(len(page.encode()))})", err=True)


def probed(runs: Sequence[Run | Record], given: Sequence[Path]) -> list[xr.Dataset | None]:
    """Each run's part of the probe results that are named, or of the one beside it.

    Raises:
        FormatError: a result that is named shows none of the runs, or of another training.
    """
    labels = run_labels(runs)
    if not given:
        beside = [run.path.with_name(f"{run.path.stem}.probe.nc") for run in runs]
        return [
            _part(path, label, run) if path.is_file() else None
            for path, label, run in zip(beside, labels, runs, strict=True)
        ]
    whole = combine(results(given, "probe"))
    parts = [part_of(whole, run, label) for label, run in zip(labels, runs, strict=True)]
    if all(part is None for part in parts):
        raise FormatError(
            f"{', '.join(map(str, given))} shows none of these runs, but "
            f"{', '.join(whole['run'].values)}"
        )
    return parts


def _part(path: Path, label: str, run: Run | Record) -> xr.Dataset | None:
    """The run's part of the result beside it; None, with a word, where that is not of it."""
    try:
        found = results([path], "probe")[str(path)]
        if (part := part_of(found, run, label)) is None:
            raise FormatError(f"it shows {', '.join(found['run'].values)}, not {label}")
        return part
    except VrlprobeError as error:
        click.echo(f"warning: {path}: {error}; left out", err=True)
        return None


def _strips(run: Run | Record) -> list[Strip]:
    """Film strips of the first, middle and last checkpoint; none of a record."""
    if isinstance(run, Record):
        return []
    places = {"start": 0, "middle": len(run.frames) // 2, "end": len(run.frames) - 1}
    chosen = {place: when for when, place in places.items()}  # fewer where there are few
    return [_one_strip(run, when, int(run.frames[place])) for place, when in sorted(chosen.items())]


def _one_strip(run: Run, when: str, frame: int) -> Strip:
    if not len(run.rollout(frame)):
        return Strip(when, frame, None, "no episode was recorded")
    try:
        return Strip(when, frame, film(run, frame=frame))
    except VrlprobeError as error:
        return Strip(when, frame, None, str(error))
