"""`vrlprobe collapse`: is a run stuck, and since when."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import click

from vrlprobe._text import aligned
from vrlprobe.analyses import collapse as judge_runs
from vrlprobe.cli.common import FILE, Session, samples_option
from vrlprobe.cli.thresholds import (
    parse_thresholds,
    refuse_unread,
    thresholds_option,
    with_thresholds,
)
from vrlprobe.collapse.indicators import INDICATORS, LOGGED
from vrlprobe.collapse.verdict import Verdict
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.reader import Run
from vrlprobe.samples.selection import run_labels

FOLLOW_SECONDS = 3.0


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@samples_option
@click.option(
    "--window", type=click.IntRange(min=1),
    help="Frames over which the noise decays, after which a collapsed run counts as stuck.  "
    "[default: as recorded in the run]",
)  # fmt: skip
@thresholds_option
@click.option("--follow", is_flag=True, help="Judge growing runs again at every new checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per run.")
def collapse(
    runs: tuple[Path, ...],
    sample_paths: tuple[Path, ...],
    window: int | None,
    thresholds: tuple[str, ...],
    follow: bool,
    as_json: bool,
) -> None:
    """Say whether RUNS are in action collapse, since when, or when they came out of it.

    Healthy: never collapsed. Escaped: it came out. Stuck: collapsed, no gradient, and
    the exploration noise has decayed. Undecided: too early to say, or the metrics
    disagree. The logs are enough; with --samples, the last networks are examined, too.
    """
    given = parse_thresholds(thresholds)
    with Session() as session:
        if not sample_paths:
            _refuse_unseen(given)
        indicators = with_thresholds(INDICATORS, given)
        refuse_unread(given, indicators)
        opened = session.logged(runs)
        samples = session.samples(sample_paths)
        if samples and (records := [run.path.name for run in opened if not isinstance(run, Run)]):
            click.echo(f"warning: records have no networks to ask: {', '.join(records)}", err=True)
        while follow and not all(len(run.frames) for run in opened) and _wait(opened):
            pass  # a training that has only begun
        while True:
            verdicts = judge_runs(opened, samples, window=window, indicators=indicators)
            click.echo(to_json(opened, verdicts) if as_json else describe(opened, verdicts))
            if not follow or not _wait(opened):
                return


def _refuse_unseen(given: Mapping[str, float]) -> None:
    """Raise UsageError for a threshold of what only networks show, where none is asked."""
    logged = {indicator.name for indicator in LOGGED}
    if idle := sorted(
        indicator.name for indicator in INDICATORS if indicator.name in given.keys() - logged
    ):
        raise click.UsageError(f"{idle[0]} is read of networks that see --samples: give them, too")


def _wait(runs: Sequence[LoggedRun]) -> bool:
    """Wait until a growing run has another checkpoint or has ended; False once none grows."""
    growing = [run for run in runs if isinstance(run, Run)]
    before = [(len(run.frames), run.state) for run in growing]
    while any(run.state == "growing" for run in growing):
        time.sleep(FOLLOW_SECONDS)
        for run in growing:
            run.refresh()
        if [(len(run.frames), run.state) for run in growing] != before:
            return True
    return False


def describe(runs: Sequence[LoggedRun], verdicts: Sequence[Verdict]) -> str:
    """A list for one run, a table for several."""
    if len(runs) == 1:
        return _details(runs[0], verdicts[0])
    rows = []
    for label, run, verdict in zip(run_labels(runs), runs, verdicts, strict=True):
        agree = sum(item.agrees for item in verdict.evidence)
        rows.append(
            {
                "run": label,
                "frames": f"{run.frames[-1]:,}",
                "return": f"{run.returns[-1]:.0f}",
                "verdict": str(verdict),
                "agree": f"{agree} of {len(verdict.evidence)}",
                "": "; ".join(filter(None, [verdict.reason, *map(_measurement, verdict.evidence)])),
            }
        )
    return aligned(rows)


def _details(run: LoggedRun, verdict: Verdict) -> str:
    frame = int(run.frames[-1])
    reason = f" ({verdict.reason})" if verdict.reason else ""
    phases = [
        f"{phase.first:>10,} to {phase.last:>9,}  {'collapsed' if phase.collapsed else 'healthy'}"
        for phase in verdict.phases
    ]
    value = run.returns[-1]
    returned = "no return known" if value != value else f"return {value:.0f}"
    end = [*map(_evidence, verdict.evidence), f"{returned} at {frame:,} frames, run {run.state}"]
    parts = [[f"{run.path.name}: {verdict}{reason}"], phases, end]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _measurement(item: Any) -> str:
    return f"{item.indicator.name} {item.value:.2g}"


def _evidence(item: Any) -> str:
    side = "above" if item.value > item.indicator.threshold else "below"
    agrees = "agrees" if item.agrees else "disagrees"
    return (
        f"{item.indicator.name} {item.value:.2g}, {side} {item.indicator.threshold:g} by "
        f"{abs(item.decades):.1f} decades: {agrees}"
    )


def to_json(runs: Sequence[LoggedRun], verdicts: Sequence[Verdict]) -> str:
    """One object a run: the verdict, its phases and evidence."""
    found = [
        {
            "run": str(run.path),
            "state": run.state,
            "last_frame": int(run.frames[-1]),
            "verdict": verdict.word,
            "frame": verdict.frame,
            "reason": verdict.reason,
            "phases": [asdict(phase) for phase in verdict.phases],
            "evidence": [
                {
                    "metric": item.indicator.name,
                    "value": item.value,
                    "threshold": item.indicator.threshold,
                    "agrees": item.agrees,
                    "decades": item.decades if isfinite(item.decades) else None,
                }
                for item in verdict.evidence
            ],
        }
        for run, verdict in zip(runs, verdicts, strict=True)
    ]
    return json.dumps(found, indent=1)
