"""How early, and from which metric, a run's end can be told: stuck or slow?"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import check_at_least
from vrlprobe.analyses._collapse import judged
from vrlprobe.collapse.measurements import Measurements, measurements
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import Variables, all_frames, blank, place_in, run_attributes, shared
from vrlprobe.results.file import check_kind, last_checkpoint
from vrlprobe.runs.collection import Logged, logged_list, refuse_twice
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.samples.classes import run_class
from vrlprobe.samples.selection import run_labels
from vrlprobe.stats.threshold import (
    balanced_accuracy,
    best_cut,
    best_left_out,
    left_out,
    separation,
    share_as_good,
    shuffled,
)

if TYPE_CHECKING:
    pass

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Outcome = Literal["stuck", "not good", "bad"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

BLIND = "any"
"""Stands for the best metric at each frame, chosen without the run that it is then tried on."""
FEWEST = 4
"""Runs of either end that are needed. A metric of pure noise separates two of six runs from the
others in 2 of 15 cases, and the best of 34 metrics nearly always; four of eight in 2 of 70."""
OTHERWISE = {"stuck": '; more may end below a good return (`outcome="not good"`)'}
OF_NO_NETWORK = frozenset(
    (
        *("step", "updates", "attempt", "rule_streak", "perturb_factor", "noise_std"),
        *("frames_per_second", "elapsed_seconds"),
    )
)
"""Columns that are the same in every run, or say nothing of the networks."""

VARIABLES: Variables = {
    "separation": (
        ("metric", "frame"), np.nan,
        "chance that of two runs the one that ends badly has the larger value",
    ),
    "accuracy": (
        ("metric", "frame"), np.nan,
        "mean of the shares of either end told right, each run by a cut that the others give",
    ),
    "p": (
        ("metric", "frame"), np.nan,
        "share of random ways to shuffle the ends over the runs that are told as well or better",
    ),
    "found": (("metric", "frame"), 0, "runs that end badly and are told so, each by the others"),
    "false": (("metric", "frame"), 0, "other runs that are told to end badly"),
    "threshold": (("metric", "frame"), np.nan, "the best cut on all runs"),
    "bad_above": (("metric", "frame"), False, "whether runs above the threshold end badly"),
    "saved": (
        ("metric", "frame"), np.nan,
        "share of all runs' frames that stopping the runs in `found` there would have saved",
    ),
    "n_runs": (("metric", "frame"), 0, "runs with a measurement"),
    "n_bad": (("metric", "frame"), 0, "of them that end badly"),
}  # fmt: skip
PER_RUN: Variables = {
    "ends_badly": (("run",), False, "what is foretold"),
    "verdict": (("run",), "", "on action collapse at the end"),
    "final_return": (("run",), np.nan, "mean return of the last checkpoint's episodes"),
    "last_frame": (("run",), 0, "of the run"),
}


def forecast(
    runs: Logged,
    measured: xr.Dataset | None = None,
    *,
    outcome: Outcome = "stuck",
    good: float | None = None,
    bad: float | None = None,
    window: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Try every logged metric at every frame on how the runs end, cross-validated over runs.

    Args:
        runs: finished runs or records of one task, trained without resets. Undecided ones are left
            out, with a warning, where it is being stuck that is foretold.
        measured: result of `vrlprobe.analyses.metrics` on the same runs: its metrics, too.
        outcome: which end is foretold: the verdict `stuck`, or a final return that is not good, or
            bad.
        good, bad: thresholds of the classes; each run's own profile's if None.
        window: see `vrlprobe.analyses.collapse`.
        seed: of the shuffles.

    Returns:
        Dims (metric, frame), at the frames after the first update: `separation`, the chance that of
        two runs the one that ends badly has the larger value; `accuracy`, the mean of the shares of
        either end told right, each run by a cut that the others give; `p`, the share of random ways
        to shuffle the ends over the runs that are told as well or better, of each metric and frame
        by itself; `found`, `false`, the runs that end badly and the others that are told to;
        `threshold`, the best cut on all runs, and `bad_above`, whether those above it end badly;
        `saved`, the share of all runs' frames that stopping those in `found` there would have
        saved; `n_runs` with a measurement, `n_bad` of them that end badly. The metric `any` is at
        each frame the one that is best on the other runs, so that its figures are not those of the
        luckiest of many metrics. Dims (run,): `ends_badly`,
        `verdict` on action collapse at the end, `final_return`, `last_frame`. The last measurements
        themselves decide what is stuck, so that the end of a run tells it by definition.

    Raises:
        FormatError: something else than a result of metrics.
        SampleError: fewer than `FEWEST` runs of either end, a run with resets or not finished,
            several tasks, metrics of other runs.
        ValueError: another outcome, a window below 1, or a seed below 0.
    """
    check_at_least(0, seed=seed)
    if outcome not in get_args(Outcome):
        raise ValueError(f"outcomes are {', '.join(get_args(Outcome))}, not {outcome!r}")
    if measured is not None:
        check_kind(measured, "metrics")
    runs = logged_list(runs)
    _check_runs(runs)
    words = [_verdict(run, window, outcome) for run in runs]
    if outcome == "stuck":
        runs, words = _decided(runs, words)
    labels = run_labels(runs)
    ends = _ends(labels, runs, words, outcome, good, bad)
    _check_ends(ends["ends_badly"].values, outcome)
    values = _logged(labels, [measurements(run) for run in runs])
    if measured is not None:
        values = xr.concat([values, _measured(measured, runs, labels)], "metric", join="outer")
    values = values.dropna("frame", how="all")
    if not values.size:
        raise SampleError(
            "these runs have no measurements after the first update: nothing can tell"
        )
    metrics, frames = values["metric"].values.tolist(), values["frame"].values.tolist()
    found = blank({"metric": [*metrics, BLIND], "frame": frames}, VARIABLES)
    for frame in frames:
        for metric, scores in _at_frame(values.sel(frame=frame), ends, frame, seed):
            for name, value in scores.items():
                found[name].loc[metric, frame] = value
    arguments = {"outcome": outcome, "good": good, "bad": bad, "window": window, "seed": seed}
    attributes = {**run_attributes("foretell", runs, arguments), "outcome": outcome}
    return found.merge(ends).assign_attrs(attributes)


def best_metrics(found: xr.Dataset, count: int) -> list[str]:
    """The metrics with the largest mean accuracy over the frames at which it is known.

    Args:
        found: what `forecast` returns.
        count: how many at most, without `BLIND`.
    """
    named = found["accuracy"].drop_sel(metric=BLIND, errors="ignore")
    named = named.sel(metric=named.notnull().any("frame"))
    order = np.argsort(-named.mean("frame").values, kind="stable")
    return [str(name) for name in named["metric"].values[order[:count]]]


def _check_runs(runs: "Sequence[LoggedRun]") -> None:
    """Raise SampleError for what teaches nothing: unfinished or reset runs, several tasks."""
    refuse_twice(runs)
    tasks = [str(run.config.get("task", "unknown")) for run in runs]
    shared(tasks, runs, "task", "a forecast")
    for run in runs:
        if not run.finished:
            raise SampleError(
                f"{run.path.name} is not finished, so its end is not known: leave it out, or go on "
                "with it (vrltrain resume)"
            )
        if len(set(measurements(run).attempts.tolist())) > 1:
            raise SampleError(f"{run.path.name} was reset: runs without the rule are needed")


def _verdict(run: "LoggedRun", window: int | None, outcome: Outcome) -> str:
    """The verdict in words; empty where the window is not known and nothing depends on it."""
    try:
        return str(judged(run, window=window)[1])
    except SampleError:
        if outcome == "stuck":
            raise
        return ""


def _decided(
    runs: "Sequence[LoggedRun]", words: Sequence[str]
) -> "tuple[list[LoggedRun], list[str]]":
    """The runs whose verdict says whether they are stuck; the others are warned of."""
    pairs = list(zip(runs, words, strict=True))
    if open_ones := [run.path.stem for run, word in pairs if word == "undecided"]:
        warnings.warn(
            f"left out, undecided on being stuck: {', '.join(open_ones)}", UserWarning, stacklevel=3
        )
    kept = [(run, word) for run, word in pairs if word != "undecided"]
    return [run for run, _ in kept], [word for _, word in kept]


def _ends(
    labels: Sequence[str],
    runs: "Sequence[LoggedRun]",
    words: Sequence[str],
    outcome: Outcome,
    good: float | None,
    bad: float | None,
) -> xr.Dataset:
    """How the runs end, see `PER_RUN`."""
    ends = blank({"run": labels}, PER_RUN)
    for label, run, word in zip(labels, runs, words, strict=True):
        final = float(run.returns[-1])
        kind = word if outcome == "stuck" else run_class(run, final, good, bad)
        row = (_badly(kind, outcome), word, final, run.frames[-1])
        for name, value in zip(PER_RUN, row, strict=True):
            ends[name].loc[label] = value
    return ends


def _badly(kind: str, outcome: Outcome) -> bool:
    """Whether a verdict or a class is the end that is foretold."""
    return kind != "good" if outcome == "not good" else kind.startswith(outcome)


def _check_ends(badly: Bools, outcome: str) -> None:
    """Raise SampleError where leaving one run out would leave one end without any."""
    count, others = int(badly.sum()), int((~badly).sum())
    if min(count, others) < FEWEST:
        raise SampleError(
            f"{count} of {count + others} runs end {outcome}: at least {FEWEST} of either end are "
            f"needed to learn from the others{OTHERWISE.get(outcome, '')}"
        )


def _logged(labels: Sequence[str], read: Sequence[Measurements]) -> xr.DataArray:
    """Logged columns, dims (run, metric, frame); NaN where a run has no measurement."""
    frames = all_frames([whole.frames.tolist() for whole in read])
    names = list(dict.fromkeys(name for whole in read for name in whole.values))
    names = [name for name in names if name not in OF_NO_NETWORK]
    values = xr.DataArray(
        np.full((len(labels), len(names), len(frames)), np.nan),
        {"run": list(labels), "metric": names, "frame": frames},
        ("run", "metric", "frame"),
    )
    for label, whole in zip(labels, read, strict=True):
        for name in set(names) & whole.values.keys():
            column = whole.values[name]
            values.loc[label, name, whole.frames] = np.where(np.isfinite(column), column, np.nan)
    return values


def _measured(
    measured: xr.Dataset, runs: "Sequence[LoggedRun]", labels: Sequence[str]
) -> xr.DataArray:
    """The layers' metrics of a result for these runs after the first update, as `_logged`.

    Raises:
        SampleError: a run is not in the result, or its last checkpoint there is another one.
    """
    there = [_place(measured, label, run) for label, run in zip(labels, runs, strict=True)]
    measured = measured.isel(run=there).assign_coords(run=list(labels))
    parts = []
    for name, item in measured.data_vars.items():
        if item.dims == ("run", "frame", "layer") and name != "grad_norm":
            stacked = item.transpose("run", "layer", "frame").rename(layer="metric")
            called = [f"{name}[{layer}]" for layer in stacked["metric"].values]
            parts.append(stacked.assign_coords(metric=called))
    found: xr.DataArray = xr.concat(parts, "metric")
    trained = (measured["stage"] != "").any("run")
    return found.where(trained).dropna("metric", how="all")


def _place(measured: xr.Dataset, label: str, run: "LoggedRun") -> int:
    """Where a result has a run to its last checkpoint."""
    place = place_in(measured, run)
    if place is not None:
        name = str(measured["run"].values[place])
        if last_checkpoint(measured, name)["frame"] == run.frames[-1]:
            return place
    raise SampleError(f"{label} is not among the runs that the metrics were measured on")


def _at_frame(
    values: xr.DataArray, ends: xr.Dataset, frame: int, seed: int
) -> Iterator[tuple[str, Mapping[str, float | bool]]]:
    """Scores by metric at one frame, `BLIND` last; nothing of a metric that too few runs have."""
    badly, last = ends["ends_badly"].values, ends["last_frame"].values
    left = (last - frame) / last.sum()
    table = values.transpose("run", "metric").values
    known = np.isfinite(table)
    there, complete = known.any(axis=1), []
    for column, name in enumerate(values["metric"].values.tolist()):
        rows = known[:, column]
        if _enough(badly[rows]):
            mine, ways = table[rows, column], shuffled(badly[rows], seed)
            cut, tried = best_cut(mine, badly[rows]), left_out(mine, ways)
            if (rows == there).all():
                complete.append(tried)
            yield (
                name,
                {
                    "separation": separation(mine, badly[rows]),
                    "threshold": cut.threshold,
                    "bad_above": cut.above,
                    **_scores(tried[0], ways, left[rows]),
                },
            )
    if complete:
        yield BLIND, _scores(best_left_out(complete), shuffled(badly[there], seed), left[there])


def _enough(badly: Bools) -> bool:
    return min(int(badly.sum()), int((~badly).sum())) >= FEWEST


def _scores(told: Bools, ways: Bools, left: Floats) -> Mapping[str, float]:
    """Of runs told to end badly or not, the first way as they do; `left` is what each has to go.

    Args:
        told, ways: (n_ways, n_runs), see `vrlprobe.stats.threshold.shuffled`.
        left: (n_runs,), shares of all frames.
    """
    badly = ways[0]
    hits = told[0] & badly
    return {
        "accuracy": balanced_accuracy(told[0], badly),
        "p": share_as_good(told, ways),
        "found": int(hits.sum()),
        "false": int((told[0] & ~badly).sum()),
        "saved": float(left[hits].sum()),
        "n_runs": len(badly),
        "n_bad": int(badly.sum()),
    }
