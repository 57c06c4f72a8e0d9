"""Sample sets made from the episodes that runs recorded at their last checkpoint."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import check_at_least, check_given
from vrlprobe.errors import SampleError
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.settings import number, whole
from vrlprobe.samples.sample_set import SPLITS, Ints, SampleSet, Source

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Rollout, Run

SHARES = (0.6, 0.2, 0.2)
DEFAULT_SAMPLES = 3000


def make_samples(
    runs: Runs, n_samples: int | None = DEFAULT_SAMPLES, *, seed: int = 0
) -> SampleSet:
    """A sample set from the last checkpoint's rollouts of one or several runs.

    About 60 / 20 / 20 % of the episodes, at least one each, go to training, validation and test,
    every run's episodes spread over the three.

    Args:
        runs: open runs, or one, of one task with the same components and image size.
        n_samples: how many samples to take, evenly spaced in each episode; None takes all.
        seed: of the split.

    Raises:
        SampleError: fewer than three episodes with images, fewer samples than episodes, or runs
            that do not fit together.
        ValueError: a number of samples below 1, or a seed below 0.
    """
    check_given(1, n_samples=n_samples)
    check_at_least(0, seed=seed)
    runs = run_list(runs)
    refuse_twice(runs)
    check_alike(runs)
    found = [_recorded(run) for run in runs]
    recorded = [(run, which) for run, group in zip(runs, found, strict=True) for which in group]
    if len(recorded) < len(SPLITS):
        raise SampleError(
            f"a sample set needs at least {len(SPLITS)} episodes with images, found "
            f"{len(recorded)} at the last checkpoint of {', '.join(_name(r) for r in runs)}: "
            "add runs of the task, or record more (vrltrain run --final-episodes 5 --images last, "
            "vrlprobe import --episodes 5)"
        )
    origin = np.repeat(np.arange(len(runs)), [len(group) for group in found])
    lengths = [_last_rollout(run).lengths[which] + 1 for run, which in recorded]
    quotas = _quotas(lengths, n_samples)
    parts = [
        _pick(_last_rollout(run)[which], run.layout.frame_stack, count)
        for (run, which), count in zip(recorded, quotas, strict=True)
    ]
    offsets = np.cumsum([0, *(len(part.images) for part in parts[:-1])])
    return SampleSet(
        images=np.concatenate([part.images for part in parts]),
        index=np.concatenate([p.index + o for p, o in zip(parts, offsets, strict=True)]),
        states=np.concatenate([part.states for part in parts]),
        episodes=np.repeat(np.arange(len(parts)), [len(part.states) for part in parts]),
        split=split_episodes(origin, seed),
        origin=origin,
        components=runs[0].components,
        aliases=runs[0].aliases,
        sources=tuple(_source(run, len(group)) for run, group in zip(runs, found, strict=True)),
        seed=int(seed),
    )


def split_episodes(origin: Ints, seed: int = 0) -> Ints:
    """Assign episodes (n_episodes,) to SPLITS, each source's spread over them as far as it goes.

    The episodes of a source are shuffled; then, going through them source by source, each one goes
    to the set that lies furthest behind its share.
    """
    total = len(origin)
    rng = np.random.default_rng(seed)
    order = np.concatenate(
        [rng.permutation(np.flatnonzero(origin == s)) for s in np.unique(origin)]
    )
    wanted = _counts(total)
    given = np.zeros(len(SPLITS), dtype=np.int64)
    split = np.empty(total, dtype=np.int64)
    for place, episode in enumerate(order):
        behind = np.where(given < wanted, wanted * (place + 1) / total - given, -np.inf)
        split[episode] = choice = int(np.argmax(behind))
        given[choice] += 1
    return split


def _counts(total: int) -> Ints:
    """Episodes in each set: the shares, rounded, at least one each."""
    val, test = (max(1, round(share * total)) for share in SHARES[1:])
    return np.array([total - val - test, val, test])


@dataclass(frozen=True)
class _Part:
    """What one episode gives: the images it needs, which make a sample, and the states."""

    images: npt.NDArray[np.uint8]
    index: Ints
    states: npt.NDArray[np.float64]


def _pick(episode: Episode, frame_stack: int, count: int) -> _Part:
    """``count`` samples evenly spaced over an episode, and the images that they need."""
    assert episode.images is not None
    times = np.linspace(0, len(episode), count).round().astype(np.int64)
    stacks = np.maximum(times[:, None] + np.arange(1 - frame_stack, 1), 0)
    needed, index = np.unique(stacks, return_inverse=True)
    return _Part(episode.images[needed], index.reshape(stacks.shape), episode.states[times])


def _quotas(lengths: Sequence[int], n_samples: int | None) -> list[int]:
    """How many samples each episode gives, in proportion to its length."""
    total = sum(lengths)
    if n_samples is None or n_samples >= total:
        return list(lengths)
    if n_samples < len(lengths):
        raise SampleError(f"{n_samples} samples are fewer than the {len(lengths)} episodes")
    return [max(1, n_samples * length // total) for length in lengths]


def _last_rollout(run: "Run") -> "Rollout":
    if not len(run.frames):
        raise SampleError(f"{_name(run)} has no checkpoint yet")
    return run.rollout(int(run.frames[-1]))


def _recorded(run: "Run") -> list[int]:
    """Which episodes of the last checkpoint have images."""
    return [which for which, count in enumerate(_last_rollout(run).n_images) if count]


def check_alike(runs: "Sequence[Run]") -> None:
    """Raise SampleError where runs differ in what a common set needs to share."""
    first = runs[0]
    for run in runs[1:]:
        for key, one, other in (
            ("task", first.config.get("task"), run.config.get("task")),
            ("image shape", first.layout.image_shape, run.layout.image_shape),
            ("frame stack", first.layout.frame_stack, run.layout.frame_stack),
            ("components", first.components, run.components),
        ):
            if one != other:
                raise SampleError(
                    f"runs in one sample set must share their {key}: {_name(first)} has {one}, "
                    f"{_name(run)} has {other}"
                )


def _source(run: "Run", n_episodes: int) -> Source:
    frame = int(run.frames[-1])
    return Source(
        name=_name(run),
        task=str(run.config.get("task", "unknown")),
        seed=whole(run, "seed", -1),
        frame=frame,
        checkpoint=run.digest(frame),
        episode_return=_last_rollout(run).mean_return,
        n_episodes=n_episodes,
        precision=str(run.config.get("precision", "unknown")),
        render=str(run.config.get("render", "unknown")),
    )


def weak_runs(runs: "Iterable[Run]") -> list[str]:
    """One phrase for each run that stays under its profile's `good_return`."""
    phrases = []
    for run in runs:
        good = number(run, "good_return")
        if good is not None and (returned := _last_rollout(run).mean_return) < good:
            phrases.append(f"{_name(run)} returns {returned:.0f} (good: {good:g})")
    return phrases


def _name(run: "Run") -> str:
    return run.path.name
