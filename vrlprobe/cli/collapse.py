"""`vrlprobe collapse`: is a run stuck, since when, and what the reset rule would have done."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any

import click
import xarray as xr

from vrlprobe._text import aligned
from vrlprobe.analyses import collapse as judge_runs
from vrlprobe.analyses import reset_rule as apply_rule
from vrlprobe.cli.common import FILE, Session, samples_option
from vrlprobe.collapse.indicators import GRADIENT, LOGGED, SIGNS, Sign
from vrlprobe.collapse.rule import CONSECUTIVE
from vrlprobe.collapse.verdict import Verdict
from vrlprobe.errors import did_you_mean
from vrlprobe.runs.reader import Run
from vrlprobe.runs.record import Record
from vrlprobe.samples.selection import run_labels

FOLLOW_SECONDS = 3.0
Judged = Run | Record


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@samples_option
@click.option(
    "--window", type=click.IntRange(min=1),
    help="Frames over which the noise decays, after which a collapsed run counts as stuck; with "
    "--rule, also the frames after which the rule decides.  [default: as recorded in the run]",
)  # fmt: skip
@click.option(
    "--threshold", "thresholds", multiple=True, metavar="METRIC=VALUE",
    help="Threshold of a metric: " + ", ".join(f"{sign.name}={sign.threshold:g}" for sign in SIGNS),
)  # fmt: skip
@click.option(
    "--rule", is_flag=True, help="Show what the reset rule would have done, and how well."
)
@click.option(
    "--metric", metavar="METRIC",
    help="With --rule: any logged metric; the rule keeps a run where it exceeds --threshold.  "
    f"[default: {GRADIENT.name}]",
)  # fmt: skip
@click.option(
    "--consecutive", type=click.IntRange(min=1),
    help="With --rule: how many readings in a row must pass the threshold to keep a run.  "
    f"[default: {CONSECUTIVE}]",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Judge growing runs again at every new checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per run.")
def collapse(
    runs: tuple[Path, ...],
    sample_paths: tuple[Path, ...],
    window: int | None,
    thresholds: tuple[str, ...],
    rule: bool,
    metric: str | None,
    consecutive: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Say whether RUNS are in action collapse, since when, or when they came out of it.

    Healthy: never collapsed. Escaped: it came out. Stuck: collapsed, no gradient, and
    the exploration noise has decayed. Undecided: too early to say, or the metrics
    disagree. The logs are enough; with --samples, the last networks are examined, too.
    """
    if rule and (follow or sample_paths):
        raise click.UsageError("--rule reads the logs once: it takes no --follow and no --samples")
    if not rule and (metric or consecutive):
        raise click.UsageError("--metric and --consecutive are the rule's: give --rule, too")
    given = _thresholds(thresholds)
    with Session() as session:
        if rule:
            sign, consecutive = _rule_sign(metric, given), consecutive or CONSECUTIVE
            signs = _with_thresholds(LOGGED, given)
            _refuse_unread(given, [*signs, sign])
            opened = session.logged(runs)
            found = apply_rule(
                opened, window=window, sign=sign, consecutive=consecutive, signs=signs
            )
            click.echo(_rule_json(found) if as_json else describe_rule(found, sign, consecutive))
            return
        if not sample_paths:
            _refuse_unseen(given)
        signs = _with_thresholds(SIGNS, given)
        _refuse_unread(given, signs)
        opened = session.logged(runs)
        samples = session.samples(sample_paths)
        if samples and (records := [run.path.name for run in opened if isinstance(run, Record)]):
            click.echo(f"warning: records have no networks to ask: {', '.join(records)}", err=True)
        while follow and not all(len(run.frames) for run in opened) and _wait(opened):
            pass  # a training that has only begun
        while True:
            verdicts = judge_runs(opened, samples, window=window, signs=signs)
            click.echo(to_json(opened, verdicts) if as_json else describe(opened, verdicts))
            if not follow or not _wait(opened):
                return


def _thresholds(given: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, _, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name or not 0 < found[name] < inf:
            raise click.BadParameter(
                f"METRIC=VALUE with a value above 0 is needed, not {text!r}",
                param_hint="--threshold",
            )
    return found


def _with_thresholds(signs: Sequence[Sign], given: Mapping[str, float]) -> list[Sign]:
    """Signs with the thresholds given for them."""
    return [replace(sign, threshold=given.get(sign.name, sign.threshold)) for sign in signs]


def _rule_sign(metric: str | None, given: Mapping[str, float]) -> Sign:
    """What the rule reads; of a metric that is no sign of its own, above is healthy."""
    name = metric or GRADIENT.name
    known = [sign for sign in SIGNS if sign.name == name]
    if not known and name not in given:
        raise click.UsageError(
            f"{name} has no threshold of its own: give the one above which a run is kept "
            f"(--threshold {name}=VALUE)"
        )
    return _with_thresholds(known or [Sign(name, given[name])], given)[0]


def _refuse_unseen(given: Mapping[str, float]) -> None:
    """Raise UsageError for a threshold of what only networks show, where none is asked."""
    logged = {sign.name for sign in LOGGED}
    if idle := sorted(sign.name for sign in SIGNS if sign.name in given.keys() - logged):
        raise click.UsageError(f"{idle[0]} is read of networks that see --samples: give them, too")


def _refuse_unread(given: Mapping[str, float], signs: Sequence[Sign]) -> None:
    """Raise BadParameter for a threshold of a metric that is none of the signs."""
    read = [sign.name for sign in signs]
    for name in given:
        if name not in read:
            guess = did_you_mean(name, read, " ({})")
            raise click.BadParameter(
                f"no metric {name!r} is read here{guess}", param_hint="--threshold"
            )


def _wait(runs: Sequence[Judged]) -> bool:
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


def describe(runs: Sequence[Judged], verdicts: Sequence[Verdict]) -> str:
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
                "": "; ".join(filter(None, [verdict.reason, *map(_reading, verdict.evidence)])),
            }
        )
    return aligned(rows)


def _details(run: Judged, verdict: Verdict) -> str:
    frame = int(run.frames[-1])
    reason = f" ({verdict.reason})" if verdict.reason else ""
    stages = [
        f"{stage.first:>10,} to {stage.last:>9,}  {'collapsed' if stage.collapsed else 'healthy'}"
        for stage in verdict.stages
    ]
    value = run.returns[-1]
    returned = "no return known" if value != value else f"return {value:.0f}"
    end = [*map(_evidence, verdict.evidence), f"{returned} at {frame:,} frames, run {run.state}"]
    parts = [[f"{run.path.name}: {verdict}{reason}"], stages, end]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _reading(item: Any) -> str:
    return f"{item.sign.name} {item.value:.2g}"


def _evidence(item: Any) -> str:
    side = "above" if item.value > item.sign.threshold else "below"
    agrees = "agrees" if item.agrees else "disagrees"
    return (
        f"{item.sign.name} {item.value:.2g}, {side} {item.sign.threshold:g} by "
        f"{abs(item.decades):.1f} decades: {agrees}"
    )


def to_json(runs: Sequence[Judged], verdicts: Sequence[Verdict]) -> str:
    """One object a run: the verdict, its stages and evidence."""
    found = [
        {
            "run": str(run.path),
            "state": run.state,
            "last_frame": int(run.frames[-1]),
            "verdict": verdict.word,
            "frame": verdict.frame,
            "reason": verdict.reason,
            "stages": [asdict(stage) for stage in verdict.stages],
            "evidence": [
                {
                    "metric": item.sign.name,
                    "value": item.value,
                    "threshold": item.sign.threshold,
                    "agrees": item.agrees,
                    "decades": item.decades if isfinite(item.decades) else None,
                }
                for item in verdict.evidence
            ],
        }
        for run, verdict in zip(runs, verdicts, strict=True)
    ]
    return json.dumps(found, indent=1)


def describe_rule(found: xr.Dataset, sign: Sign, consecutive: int) -> str:
    """A row a run, and the arithmetic behind."""
    rows = []
    for at in range(found.sizes["run"]):
        row = found.isel(run=at)
        fired = row["fired"].item()
        kept = "keeps" if row["decided"] else "too early"
        rows.append(
            {
                "run": str(row["run"].item()),
                "rule": f"resets at {fired:,}" if fired >= 0 else kept,
                "streak": str(row["streak"].item()),
                "without it": str(row["verdict"].item()),
                "rule was": str(row["judged"].item()),
                "saved": f"{row['saved'].item():,}",
                "lost": f"{row['lost'].item():,}",
            }
        )
    side = "over" if sign.healthy_above else "under"
    head = f"reset unless {sign.name} is {side} {sign.threshold:g} {consecutive} times in a row"
    wrong = int((found["judged"] == "wrong").sum())
    tail = f"wrong on {wrong} of {int((found['judged'] != 'open').sum())} decided runs"
    if "p" in found:
        p, n = found["p"].item(), found["n"].item()
        low, high = found["success_low"].item(), found["success_high"].item()
        tail += (
            f"; p = {p:.2f} reset, n = {n} attempts: {found['success'].item():.3f} of runs pass it "
            f"(1 - p^n; 95% interval {low:.3f} to {high:.3f})"
        )
        keeps = found["decided"].values & (found["fired"].values < 0)
        missed = int((keeps & (found["judged"].values == "wrong")).sum())
        if missed:
            tail += f", but {missed} of the {int(keeps.sum())} that it keeps stay stuck"
    return f"{head}\n\n{aligned(rows)}\n\n{tail}"


def _rule_json(found: xr.Dataset) -> str:
    scalars = {str(k): v.item() for k, v in found.data_vars.items() if not v.dims}
    rows = [
        {"run": name, **{str(k): found[k].values[at].item() for k in found if found[k].dims}}
        for at, name in enumerate(found["run"].values.tolist())
    ]
    return json.dumps({**scalars, "runs": rows}, indent=1)
