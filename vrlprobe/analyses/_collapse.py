"""Verdicts on runs from their logs."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import check_given
from vrlprobe.collapse.indicators import SIGNS, Sign, check_signs
from vrlprobe.collapse.measurements import Floats, Readings, attempt_begins, readings
from vrlprobe.collapse.verdict import RECENT, Verdict, judge
from vrlprobe.errors import SampleError
from vrlprobe.runs.collection import Logged, Runs, logged_list
from vrlprobe.runs.record import Record
from vrlprobe.runs.settings import whole
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import samples_for, warn_of_samples

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


def noise_window(run: "Run | Record", window: int | None) -> int:
    """The frames of an attempt in which the noise decays, unless given.

    Raises:
        SampleError: the run's config does not say and none is given.
        ValueError: one below 1 is given.
    """
    check_given(1, window=window)
    decay = whole(run, "noise_steps") * whole(run, "action_repeat")
    return _known(run, window or decay or whole(run, "rule_window"))


def rule_window(run: "Run | Record", window: int | None) -> int:
    """The frames after which the reset rule decides: the noise's, unless set apart or given.

    Raises:
        SampleError: the run's config does not say and none is given.
        ValueError: one below 1 is given.
    """
    check_given(1, window=window)
    return _known(run, window or whole(run, "rule_window"))


def _known(run: "Run | Record", found: Any) -> int:
    if not found:
        raise SampleError(
            f"{run.path.name} does not record at which frame its exploration noise has decayed: "
            "give it (`window`)"
        )
    return int(found)


@overload
def collapse(
    runs: "Run | Record",
    samples: SampleSet | Runs | None = None,
    *,
    window: int | None = None,
    signs: Sequence[Sign] = SIGNS,
) -> Verdict: ...
@overload
def collapse(
    runs: "Iterable[Run | Record]",
    samples: SampleSet | Runs | None = None,
    *,
    window: int | None = None,
    signs: Sequence[Sign] = SIGNS,
) -> list[Verdict]: ...
def collapse(
    runs: Logged,
    samples: SampleSet | Runs | None = None,
    *,
    window: int | None = None,
    signs: Sequence[Sign] = SIGNS,
) -> Verdict | list[Verdict]:
    """A verdict, or one a run: healthy, escaped, stuck or undecided (paper, section 5.1).

    From the logs alone, of the last attempt where some were reset; with samples, the networks of
    the last checkpoints are asked, too.

    Args:
        runs: open runs, which may be growing, or records; or one of them.
        samples: a sample set or well-performing runs, for the metrics that need observations.
        window: the frame of an attempt at which the exploration noise reaches its minimum; as the
            run's config has it if None.
        signs: the metrics read and their thresholds; the first one decides.

    Raises:
        SampleError: a run without checkpoints, or whose window is not known.
        ValueError: a window below 1, or signs that are none.
    """
    check_signs(signs)
    given = None
    if samples is not None:
        given, _, notes = samples_for([], samples, keep_own=True)
        warn_of_samples([], given, notes)
    found = [judged(run, given, window, signs)[1] for run in logged_list(runs)]
    return found if isinstance(runs, Iterable) else found[0]


def judged(
    run: "Run | Record",
    samples: SampleSet | None = None,
    window: int | None = None,
    signs: Sequence[Sign] = SIGNS,
) -> tuple[Readings, Verdict]:
    """All readings of one run's log, and the verdict on its last attempt, see `collapse`."""
    frames = noise_window(run, window)
    if not len(run.frames):
        raise SampleError(f"{run.path.name} has no checkpoint yet")
    whole = readings(run)
    last = whole.of_attempt(int(whole.attempts[-1]))
    if samples is not None and not isinstance(run, Record):
        last.values.update(_measured(run, samples, last.frames))
    anew = run.config.get("reset_noise") != "continue"  # the noise decays with each attempt
    begun = attempt_begins(whole)[int(whole.attempts[-1])] if anew else 0
    return whole, judge(last.frames, last.values, begun + frames, signs)


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
