"""What an analysis works on: which frames of which runs, and on which samples."""

import itertools
import warnings
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import as_list
from vrlprobe.errors import FormatError, SampleError, UnknownFrameError, did_you_mean
from vrlprobe.runs.collection import Runs, run_list
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.reader import Run
from vrlprobe.samples.make import make_samples, weak_runs
from vrlprobe.samples.sample_set import SampleSet

Frames = str | int | Collection[int]
"""Of checkpoints: "last", "all" or "best", a frame, or several."""
Names = str | Sequence[str] | None
"""One name, several, or the default."""


def resolve_frames(run: Run, frames: Frames) -> list[int]:
    """Frames of a run's checkpoints from "last", "all", "best" or a list of them, in order.

    Raises:
        UnknownFrameError: a frame without a checkpoint, with the nearest there are.
        SampleError: the run has no checkpoint yet.
    """
    there = run.frames.tolist()
    if not there:
        raise SampleError(f"{run.path.name} has no checkpoint yet")
    if not isinstance(frames, str):
        wanted = as_list(frames)
        if not wanted:
            raise UnknownFrameError("no frame is asked for: at least one is needed")
        return sorted({int(run.frames[run.row(frame)]) for frame in wanted})
    if frames == "last":
        return [there[-1]]
    if frames == "all":
        return list(there)
    if frames == "best":
        returns = run.returns
        if np.isnan(returns).all():
            raise SampleError(f"{run.path.name} has no returns, so it has no best checkpoint")
        return [there[int(np.nanargmax(returns))]]
    guess = did_you_mean(frames, ["last", "all", "best"], " ({})") if "," not in frames else ""
    raise UnknownFrameError(
        f"frames are one of last, all and best, or numbers, not {frames!r}{guess}"
    )


def resolve_frame(run: Run, frame: str | int) -> int:
    """As `resolve_frames`, for one; raises UnknownFrameError where several are meant."""
    found = resolve_frames(run, frame)
    if len(found) > 1:
        raise UnknownFrameError(
            f"{run.path.name}: one frame is needed, last, best or a number, not {frame!r}"
        )
    return found[0]


def choose(
    wanted: Names, there: Iterable[str], what: str, default: Sequence[str] = ()
) -> list[str]:
    """The names wanted, once each and all there; all that are there where none is wanted.

    Args:
        wanted: one name or several; the default if None.
        there: the names to choose from.
        what: they name, for the message.
        default: taken as far as it is there.

    Raises:
        FormatError: a name that is not, with the nearest one there is.
    """
    known = list(there)
    if wanted is None:
        asked: Sequence[str] = [name for name in default if name in known]
    else:
        asked = as_list(wanted)
    names = list(dict.fromkeys(asked))
    for name in names:
        if name not in known:
            guess = did_you_mean(name, known)
            raise FormatError(f"no {what} {name!r} here: {guess}there are {', '.join(known)}")
    return names or known


def run_labels(runs: Sequence[LoggedRun]) -> list[str]:
    """A name for each run: its file's, with its folder's or a number where several are called so.

    `seed3`; `plain/seed3` and `ruled/seed3`; `seed3#1` and `seed3#2` where that is not enough.
    """
    stems = [run.path.stem for run in runs]
    longer = [f"{run.path.parent.name}/{run.path.stem}".removeprefix("/") for run in runs]
    labels = [
        stem if stems.count(stem) == 1 else name for stem, name in zip(stems, longer, strict=True)
    ]
    if len(set(labels)) < len(labels):
        labels = stems
    taken = {label for label in labels if labels.count(label) == 1}
    found = []
    for label in labels:
        if labels.count(label) > 1:
            numbered = (f"{label}#{number}" for number in itertools.count(1))
            label = next(name for name in numbered if name not in taken)
            taken.add(label)
        found.append(label)
    return found


def samples_for(
    runs: Sequence[Run], samples: SampleSet | Runs | None, keep_own: bool
) -> tuple[SampleSet, bool, list[str]]:
    """The set to work on, and whether the runs' own episodes stay in its test set.

    And what is to be told of where it comes from, by `warn_of_samples`.
    """
    if isinstance(samples, SampleSet):
        return samples, keep_own, []
    if samples is not None:
        sources = run_list(samples)
        weak = "the samples come from a run that does not perform well"
        notes = [f"{weak}: {phrase}" for phrase in weak_runs(sources)]
        return make_samples(sources), keep_own, notes
    if len(runs) > 1:
        raise SampleError(
            "several runs are compared on one sample set: give `samples`, a set "
            "(vrlprobe.make_samples, `vrlprobe samples RUN… -o set.h5`) or well-performing runs"
        )
    weak = "its own rollouts are not those of a well-performing agent"
    notes = [f"{weak}: {phrase}" for phrase in weak_runs(runs)]
    notes.append(
        f"no sample set: the figures of {runs[0].path.name} are of its own rollouts, so not "
        "comparable with other runs' (`samples` takes a set or well-performing runs)"
    )
    return make_samples(runs), True, notes


def spaced(length: int, count: int) -> npt.NDArray[np.int64]:
    """Positions (count,), evenly spaced from the first to the last of so many samples."""
    return np.linspace(0, length - 1, count).round().astype(np.int64)


def warn_of_samples(runs: Sequence[Run], samples: SampleSet, notes: Sequence[str]) -> None:
    """Tell what figures of runs on samples are worth: once all is well, as errors stand alone."""
    for note in notes:
        _warn(note)
    for key in ("precision", "render") if runs else ():
        there = {str(run.config.get(key, "unknown")) for run in runs}
        there |= {str(getattr(source, key)) for source in samples.sources}
        if len(there) > 1:
            _warn(f"runs and samples of different {key} are mixed: {', '.join(sorted(there))}")


def check_runs(runs: Sequence[Run], samples: SampleSet) -> None:
    """Raise SampleError for runs of another task or image size."""
    for run in runs:
        if (task := str(run.config.get("task", "unknown"))) != samples.task:
            raise SampleError(f"{run.path.name} is of {task}, the samples are of {samples.task}")
        size, shown = run.config.get("image_size"), samples.images.shape[-1]
        if size not in (None, shown):
            raise SampleError(
                f"{run.path.name} sees images of {size} x {size} pixels, the samples have "
                f"{shown} x {shown}"
            )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)
