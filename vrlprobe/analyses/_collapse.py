"""Verdicts on runs from their logs."""

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import check_given
from vrlprobe.collapse.indicators import INDICATORS, Indicator, check_indicators
from vrlprobe.collapse.measurements import Floats, Measurements, attempt_begins, measurements
from vrlprobe.collapse.verdict import RECENT, Verdict, judge
from vrlprobe.errors import SampleError
from vrlprobe.runs.collection import Logged, Runs, logged_list
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.reader import Run
from vrlprobe.runs.settings import whole
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import samples_for, warn_of_samples


def noise_window(run: "LoggedRun", window: int | None) -> int:
    """The frames of an attempt in which the noise decays, unless given.

    Raises:
        SampleError: the run's config does not say and none is given.
        ValueError: one below 1 is given.
    """
    check_given(1, window=window)
    decay = whole(run, "noise_steps") * whole(run, "action_repeat")
    return _known(run, window or decay or whole(run, "rule_window"))


def rule_window(run: "LoggedRun", window: int | None) -> int:
    """The frames after which the reset rule decides: the noise's, unless set apart or given.

    Raises:
        SampleError: the run's config does not say and none is given.
        ValueError: one below 1 is given.
    """
    check_given(1, window=window)
    return _known(run, window or whole(run, "rule_window"))


def _known(run: "LoggedRun", found: Any) -> int:
    if not found:
        raise SampleError(
            f"{run.path.name} does not record at which frame its exploration noise has decayed: "
            "give it (`window`)"
        )
    return int(found)


@overload
def collapse(
    runs: "LoggedRun",
    samples: SampleSet | Runs | None = None,
    *,
    window: int | None = None,
    indicators: Sequence[Indicator] = INDICATORS,
) -> Verdict: ...
@overload
def collapse(
    runs: "Iterable[LoggedRun]",
    samples: SampleSet | Runs | None = None,
    *,
    window: int | None = None,
    indicators: Sequence[Indicator] = INDICATORS,
) -> list[Verdict]: ...
def collapse(
    runs: Logged,
    samples: SampleSet | Runs | None = None,
    *,
    window: int | None = None,
    indicators: Sequence[Indicator] = INDICATORS,
) -> Verdict | list[Verdict]:
    """A verdict, or one a run: healthy, escaped, stuck or undecided (paper, section 5.1).

    From the logs alone, of the last attempt where some were reset; with samples, the networks of
    the last checkpoints are asked, too.

    Args:
        runs: open runs, which may be growing, or records; or one of them.
        samples: a sample set or well-performing runs, for the metrics that need observations.
        window: the frame of an attempt at which the exploration noise reaches its minimum; as the
            run's config has it if None.
        indicators: the metrics read and their thresholds; the first one decides.

    Raises:
        SampleError: a run without checkpoints, or whose window is not known.
        ValueError: a window below 1, or indicators that are none.
    """
    check_indicators(indicators)
    given = None
    if samples is not None:
        given, _, notes = samples_for([], samples, keep_own=True)
        warn_of_samples([], given, notes)
    found = [judged(run, given, window, indicators)[1] for run in logged_list(runs)]
    return found if isinstance(runs, Iterable) else found[0]


def judged(
    run: "LoggedRun",
    samples: SampleSet | None = None,
    window: int | None = None,
    indicators: Sequence[Indicator] = INDICATORS,
) -> tuple[Measurements, Verdict]:
    """All measurements of one run's log, and the verdict on its last attempt, see `collapse`."""
    frames = noise_window(run, window)
    if not len(run.frames):
        raise SampleError(f"{run.path.name} has no checkpoint yet")
    whole = measurements(run)
    last = whole.of_attempt(int(whole.attempts[-1]))
    if samples is not None and isinstance(run, Run):
        last.values.update(_measured(run, samples, last.frames))
    anew = run.config.get("reset_noise") != "continue"  # the noise decays with each attempt
    begun = attempt_begins(whole)[int(whole.attempts[-1])] if anew else 0
    return whole, judge(last.frames, last.values, begun + frames, indicators)


def _measured(run: "Run", samples: SampleSet, frames: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Metrics of the last checkpoints that a verdict takes into account, NaN before them."""
    from vrlprobe.analyses._metrics import metrics  # with networks, that a log's verdict needs not

    found = metrics(run, samples, frames=frames[-RECENT:].tolist()).isel(run=0)
    blank = np.full(max(len(frames) - RECENT, 0), np.nan)
    return {
        f"{name}[{layer}]": np.concatenate([blank, found[name].sel(layer=layer).values])
        for name in ("numerical_rank", "correlation_samples", "dormant_ratio")
        for layer in found["layer"].values
    }
