"""Sample sets made from the episodes that runs recorded at their last checkpoint."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import as_list, check_at_least, check_given
from vrlprobe.errors import SampleError
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.settings import number, whole
from vrlprobe.samples.classes import run_class
from vrlprobe.samples.sample_set import SPLITS, Ints, SampleSet, Source
from vrlprobe.samples.split import split_episodes
from vrlprobe.stats.classes import CLASSES

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Rollout, Run

DEFAULT_SAMPLES = 3000


def make_samples(
    runs: Runs,
    n_samples: int | None = DEFAULT_SAMPLES,
    *,
    seed: int = 0,
    mix: str | Iterable[str] | None = None,
    good: float | None = None,
    bad: float | None = None,
) -> SampleSet:
    """A sample set from the last checkpoint's rollouts of one or several runs.

    About 60 / 20 / 20 % of the episodes, at least one each, go to training, validation and test,
    every run's episodes spread over the three.

    Args:
        runs: open runs, or one, of one task with the same components and image size.
        n_samples: how many samples to take, evenly spaced in each episode; None takes all.
        seed: of the split, and of the draw of a mix.
        mix: classes of runs by return, out of good, middle and bad. Every class gives as many
            episodes as the one that has fewest, as evenly from its runs as they have some, and is
            in all three sets; runs of other classes give none. None takes all episodes of all runs.
        good, bad: returns from which a run is good and up to which it is bad, for the mix; each
            run's own profile's if None.

    Raises:
        SampleError: fewer than three episodes with images, fewer samples than episodes, or runs
            that do not fit together; a class of the mix without runs, or with fewer than three
            episodes.
        ValueError: a number of samples below 1, a seed below 0, or another class.
    """
    check_given(1, n_samples=n_samples)
    check_at_least(0, seed=seed)
    runs = run_list(runs)
    refuse_twice(runs)
    check_alike(runs)
    takings = [_Taking(run, _with_numbers(run, _recorded(run))) for run in runs]
    if mix is not None:
        takings = _mixed(takings, _classes(mix), good, bad, int(seed))
    recorded = [(taking.run, which) for taking in takings for which in taking.episodes]
    if len(recorded) < len(SPLITS):
        raise SampleError(
            f"a sample set needs at least {len(SPLITS)} episodes with images, found "
            f"{len(recorded)} at the last checkpoint of {', '.join(_name(r) for r in runs)}: "
            "add runs of the task, or record more (vrltrain run --final-episodes 5 --images last, "
            "vrlprobe import --episodes 5)"
        )
    origin = np.repeat(np.arange(len(takings)), [len(taking.episodes) for taking in takings])
    lengths = [_last_rollout(run).lengths[which] + 1 for run, which in recorded]
    quotas = _quotas(lengths, n_samples)
    parts = [
        _pick(_last_rollout(run)[which], run.layout.frame_stack, count)
        for (run, which), count in zip(recorded, quotas, strict=True)
    ]
    offsets = np.cumsum([0, *(len(part.images) for part in parts[:-1])])
    sources = tuple(map(_source, takings))
    return SampleSet(
        images=np.concatenate([part.images for part in parts]),
        index=np.concatenate([p.index + o for p, o in zip(parts, offsets, strict=True)]),
        states=np.concatenate([part.states for part in parts]),
        episodes=np.repeat(np.arange(len(parts)), [len(part.states) for part in parts]),
        split=_split(origin, sources, seed),
        origin=origin,
        components=runs[0].components,
        aliases=runs[0].aliases,
        sources=sources,
        seed=int(seed),
    )


@dataclass(frozen=True)
class _Taking:
    """Which episodes of a run's last rollout are taken, and as which class."""

    run: "Run"
    episodes: Sequence[int]
    run_class: str = ""


def _classes(mix: str | Iterable[str]) -> list[str]:
    """The classes of a mix, each once."""
    names = list(dict.fromkeys(as_list(mix)))
    if not names or not set(names) <= set(CLASSES):
        raise ValueError(f"a mix is of {', '.join(CLASSES)}, not {mix!r}")
    return names


def _mixed(
    takings: Sequence[_Taking], mix: Sequence[str], good: float | None, bad: float | None, seed: int
) -> list[_Taking]:
    """Equal numbers of episodes of each class.

    Raises:
        SampleError: a class without runs, or with fewer episodes than there are SPLITS.
    """
    members: dict[str, list[_Taking]] = {name: [] for name in mix}
    for taking in takings:
        name = run_class(taking.run, _last_rollout(taking.run).mean_return, good, bad)
        if name in members:
            members[name].append(taking)
    if empty := [name for name in mix if not members[name]]:
        returned = [f"{_name(t.run)} {_last_rollout(t.run).mean_return:.0f}" for t in takings]
        raise SampleError(f"no run is {empty[0]}; they return: {', '.join(returned)}")
    there = {name: sum(len(t.episodes) for t in own) for name, own in members.items()}
    fewest = min(there, key=lambda name: there[name])
    if there[fewest] < len(SPLITS):
        raise SampleError(
            f"a mix needs at least {len(SPLITS)} episodes with images of every class, one for each "
            f"set, found {there[fewest]} of the {fewest} runs "
            f"{', '.join(_name(t.run) for t in members[fewest])}: add runs of that class"
        )
    drawn = [_drawn(name, own, there[fewest], seed) for name, own in members.items()]
    return [taking for own in drawn for taking in own]


def _drawn(name: str, members: Sequence[_Taking], count: int, seed: int) -> list[_Taking]:
    """``count`` episodes of the runs of a class, dealt to the runs in turn, in random order."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(len(members)).tolist()
    queue = [
        (turn, place, which)
        for place in places
        for turn, which in enumerate(rng.permutation(members[place].episodes).tolist())
    ]
    queue.sort(key=lambda item: (item[0], places.index(item[1])))
    chosen = [
        sorted(which for _, own, which in queue[:count] if own == place)
        for place in range(len(members))
    ]
    pairs = zip(members, chosen, strict=True)
    return [_Taking(taking.run, episodes, name) for taking, episodes in pairs if episodes]


def _split(origin: Ints, sources: Sequence[Source], seed: int) -> Ints:
    """The split of the episodes (n_episodes,), each class of a mix split by itself."""
    classes = np.array([source.run_class for source in sources])[origin]
    split = np.empty(len(origin), dtype=np.int64)
    for name in np.unique(classes):
        members = np.flatnonzero(classes == name)
        split[members] = split_episodes(origin[members], seed)
    return split


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


def _with_numbers(run: "Run", episodes: list[int]) -> list[int]:
    """Those of the episodes whose states are finite; warns of the others, by component."""
    kept, spoilt = [], set()
    for which in episodes:
        states = _last_rollout(run)[which].states
        finite = [bool(np.isfinite(column).all()) for column in states.T]
        if all(finite):
            kept.append(which)
        else:
            spoilt |= {name for name, ok in zip(run.components, finite, strict=True) if not ok}
    if spoilt:
        warnings.warn(
            f"{_name(run)}: left out {len(episodes) - len(kept)} of {len(episodes)} episodes, with "
            f"NaN or infinite {', '.join(sorted(spoilt))}",
            UserWarning,
            stacklevel=3,
        )
    return kept


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


def _source(taking: _Taking) -> Source:
    run = taking.run
    frame = int(run.frames[-1])
    return Source(
        name=_name(run),
        task=str(run.config.get("task", "unknown")),
        seed=whole(run, "seed", -1),
        frame=frame,
        checkpoint=run.digest(frame),
        episode_return=_last_rollout(run).mean_return,
        n_episodes=len(taking.episodes),
        precision=str(run.config.get("precision", "unknown")),
        render=str(run.config.get("render", "unknown")),
        run_class=taking.run_class,
    )


def weak_runs(runs: "Iterable[Run]") -> list[str]:
    """One phrase for each run that stays under its profile's `good_return`, or has no return."""
    phrases = []
    for run in runs:
        good = number(run, "good_return")
        if good is not None and not (returned := _last_rollout(run).mean_return) >= good:
            phrases.append(f"{_name(run)} returns {returned:.0f} (good: {good:g})")
    return phrases


def _name(run: "Run") -> str:
    return run.path.name
