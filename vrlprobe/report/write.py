"""A cohort's page, from runs to the file."""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from vrlprobe.analyses import cohort, collapse
from vrlprobe.analyses._film import film
from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.report.content import Strip, page_content
from vrlprobe.report.page import render
from vrlprobe.results.dataset import Track, part_of
from vrlprobe.results.file import check_kind
from vrlprobe.runs.collection import Logged, logged_list
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.output import PAGE, write_output
from vrlprobe.runs.paths import as_path
from vrlprobe.runs.reader import Run
from vrlprobe.samples.selection import run_labels


def write_report(
    runs: Logged,
    output: str | Path,
    *,
    probed: xr.Dataset | None = None,
    diagnosis: xr.Dataset | None = None,
    good: float | None = None,
    bad: float | None = None,
    window: int | None = None,
    track: Track = iter,
) -> None:
    """Write one self-contained HTML page about runs, to be opened offline.

    Args:
        runs: open runs or records, or one.
        output: the page, an .html file.
        probed: what `vrlprobe.probe` returned, of some or all of them; shown where it is.
        diagnosis: what `vrlprobe.analyses.diagnose` returned: the page's first section.
        good, bad, window: as for `vrlprobe.analyses.cohort`.
        track: wraps the runs whose film strips are made, for instance to show progress.

    Raises:
        FormatError: another ending, a file that cannot be written, or a result of none of these
            runs, or of another training of one.
        SampleError: as for `vrlprobe.analyses.cohort`.
    """
    check_page(output)
    runs = logged_list(runs)
    parts = [None] * len(runs) if probed is None else parts_of(probed, runs)
    write_page(
        report_page(
            runs, parts, diagnosis=diagnosis, good=good, bad=bad, window=window, track=track
        ),
        output,
    )


def write_page(page: str, output: str | Path, *, force: bool = False) -> None:
    """Write the HTML of a page, whole or not at all; raises FormatError where it cannot be."""
    write_output(output, page.encode(), kind=PAGE, force=force)


def check_page(path: str | Path) -> None:
    """Raise FormatError for a name that is not a page's."""
    if as_path(path).suffix.lower() not in (".html", ".htm"):
        raise FormatError(f"cannot write {path}: the name of a page must end in .html")


def parts_of(probed: xr.Dataset, runs: Sequence[LoggedRun]) -> list[xr.Dataset | None]:
    """Each run's part of a probe result, None where it has none.

    Raises:
        FormatError: it shows none of the runs, or one of them of another training.
    """
    check_kind(probed, "probe")
    labels = run_labels(runs)
    parts = [part_of(probed, run, label) for label, run in zip(labels, runs, strict=True)]
    if all(part is None for part in parts):
        shown = ", ".join(probed["run"].values)
        raise FormatError(f"the probe result shows none of these runs, but {shown}")
    return parts


def report_page(
    runs: Sequence[LoggedRun],
    parts: Sequence[xr.Dataset | None],
    *,
    diagnosis: xr.Dataset | None = None,
    good: float | None = None,
    bad: float | None = None,
    window: int | None = None,
    track: Track = iter,
) -> str:
    """The HTML of `write_report`, of each run with its part of a probe result."""
    if diagnosis is not None:
        check_kind(diagnosis, "diagnose")
    found = cohort(runs, good=good, bad=bad, window=window)
    verdicts = collapse(runs, window=window)
    strips = [_strips(run) for run in track(runs)]
    _warn_of_missing([strip for own in strips for strip in own])
    return render(page_content(runs, found, verdicts, strips, parts, diagnosis))


def _warn_of_missing(strips: Sequence[Strip]) -> None:
    """One warning for each reason why film strips are left out."""
    reasons = Counter(strip.reason for strip in strips if strip.film is None)
    for reason, count in reasons.items():
        warnings.warn(f"{count} of {len(strips)} film strips are left out: {reason}", stacklevel=3)


def _strips(run: LoggedRun) -> list[Strip]:
    """Film strips of the first, middle and last checkpoint; none of a record."""
    if not isinstance(run, Run):
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
