"""Episodes assigned to the training, validation and test set, once or repeatedly."""

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from vrlprobe.errors import SampleError
from vrlprobe.samples.sample_set import SPLITS, Ints, SampleSet

SHARES = (0.6, 0.2, 0.2)
TRIES = 1000
"""Draws without a new split after which a set counts as too small for one."""


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


def repeated_splits(
    samples: SampleSet, n_splits: int, strata: Sequence[Hashable] | None = None
) -> list[SampleSet]:
    """The set itself, then the same episodes assigned anew, at random and each time differently.

    Every stratum keeps its number of episodes in each of the three sets.

    Args:
        samples: the set; its class of run is a stratum as well, where it was made of a mix.
        n_splits: number of sets returned.
        strata: of each source, one value; sources of different values are assigned separately.

    Raises:
        SampleError: the episodes cannot be assigned in so many ways.
    """
    labels = strata or [None] * len(samples.sources)
    pairs = [(s.run_class, label) for s, label in zip(samples.sources, labels, strict=True)]
    kinds = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
    of_episode = np.array([kinds[pair] for pair in pairs])[samples.origin]
    groups = [np.flatnonzero(of_episode == kind) for kind in kinds.values()]
    found = {samples.split.tobytes(): samples.split}
    latest = 0
    for number in itertools.takewhile(lambda _: len(found) < n_splits, itertools.count(1)):
        split = samples.split.copy()
        rng = np.random.default_rng([samples.seed, number])
        for group in groups:
            split[group] = rng.permutation(split[group])
        latest = latest if split.tobytes() in found else number
        found.setdefault(split.tobytes(), split)
        if number - latest >= TRIES:
            raise SampleError(
                f"{n_splits} different splits cannot be made of the sample set's {len(of_episode)} "
                f"episodes, only {len(found)}: ask for fewer, or take a set of more episodes"
            )
    return [samples, *(replace(samples, split=split) for split in list(found.values())[1:])]
