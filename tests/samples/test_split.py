"""Repeated splits: whole episodes, always other ones, every class of runs in every set."""

from collections import Counter

import numpy as np
import pytest
from sklearn.model_selection import GroupShuffleSplit

from vrlprobe.errors import SampleError
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.file import load_samples, save_samples
from vrlprobe.samples.make import make_samples
from vrlprobe.samples.sample_set import SPLITS
from vrlprobe.samples.split import repeated_splits


@pytest.fixture
def opened(make_run):
    there = []

    def make(seed, reward=1.0, **kinds):
        path = make_run(f"seed{seed}.h5", seed=seed, frames=(0, 1000), reward=reward, **kinds)
        there.append(open_run(path))
        return there[-1]

    yield make
    for run in there:
        run.close()


def episodes_of(samples, name):
    return set(samples.episodes[samples.rows(name)].tolist())


class TestRepeatedSplits:
    def test_they_are_those_of_a_group_shuffle_split(self, opened):
        samples = make_samples([opened(1), opened(2), opened(3)])
        found = repeated_splits(samples, 6)
        assert found[0] is samples
        assert len({one.split.tobytes() for one in found}) == len({o.digest for o in found}) == 6
        n_test = round(0.2 * 12)
        theirs = GroupShuffleSplit(6, test_size=n_test, random_state=0)
        for one, (_, test) in zip(
            found, theirs.split(samples.states, groups=samples.episodes), strict=True
        ):
            sets = [episodes_of(one, name) for name in SPLITS]
            assert [len(episodes) for episodes in sets] == [8, n_test, n_test]
            assert set.union(*sets) == set(range(12))  # so that they share none
            assert len(sets[2]) == len(set(samples.episodes[test].tolist()))
            assert one.images is samples.images
        again = repeated_splits(samples, 6)
        assert [one.digest for one in again] == [one.digest for one in found]

    def test_every_episode_is_tested_as_often(self, opened):
        found = repeated_splits(make_samples([opened(1), opened(2)]), 400)[1:]
        tested = np.mean([one.split == 2 for one in found], axis=0)
        np.testing.assert_allclose(tested, 2 / 8, atol=0.08)  # 3.7 standard errors

    def test_strata_are_assigned_apart(self, opened):
        samples = make_samples([opened(1), opened(2)])
        expected = [Counter(samples.split[samples.origin == source]) for source in (0, 1)]
        for one in repeated_splits(samples, 5, ["a", "b"]):
            for source, counts in enumerate(expected):
                assert Counter(one.split[one.origin == source]) == counts

    def test_few_episodes_give_few_splits(self, opened):
        samples = make_samples(opened(1, episodes=3))
        assert len({one.split.tobytes() for one in repeated_splits(samples, 6)}) == 6
        with pytest.raises(SampleError, match=r"7 different splits .* 3 episodes, only 6"):
            repeated_splits(samples, 7)


class TestMix:
    """Of runs that return 40 (good), 12 (middle) and 4 (bad); an episode has 40 steps."""

    def test_classes_give_as_many_episodes_and_are_in_every_set(self, opened, tmp_path):
        good = [opened(seed) for seed in (1, 2, 3)]
        bad = opened(4, reward=0.1, episodes=5)
        samples = make_samples([*good, opened(5, reward=0.3), bad], mix=["good", "bad"])
        taken = {source.name: (source.run_class, source.n_episodes) for source in samples.sources}
        assert taken["seed4.h5"] == ("bad", 5)
        assert sorted(taken[f"seed{seed}.h5"][1] for seed in (1, 2, 3)) == [1, 2, 2]
        assert "seed5.h5" not in taken
        classes = np.array([source.run_class for source in samples.sources])[samples.origin]
        for one in repeated_splits(samples, 4):
            for label in range(3):
                assert set(classes[one.split == label]) == {"good", "bad"}
        save_samples(samples, tmp_path / "set.h5")
        again = load_samples(tmp_path / "set.h5")
        assert again.sources == samples.sources
        assert again.digest == samples.digest

    def test_states_are_those_of_the_episodes_that_were_drawn(self, opened):
        runs = [opened(1, episodes=6), opened(4, reward=0.1)]
        samples = make_samples(runs, None, mix=["good", "bad"], seed=3)
        recorded = [runs[0].rollout(1000)[which].states for which in range(6)]
        matches = [
            [np.array_equal(states, samples.states[samples.episodes == e]) for states in recorded]
            for e in range(4)
        ]
        assert np.sum(matches, axis=1).tolist() == [1] * 4
        assert np.sum(matches, axis=0).max() == 1
        other = make_samples(runs, None, mix=["good", "bad"], seed=4)
        assert not np.array_equal(other.states, samples.states)

    def test_without_a_mix_nothing_is_new(self, opened):
        samples = make_samples(opened(1))
        assert "run_class" not in samples.sources[0].record()

    def test_what_cannot_be_mixed(self, opened):
        runs = [opened(1), opened(2, reward=0.1, episodes=2)]
        with pytest.raises(SampleError, match=r"no run is middle; they return: seed1.h5 40, seed2"):
            make_samples(runs, mix=["good", "middle"])
        with pytest.raises(
            SampleError, match=r"one for each set, found 2 of the bad runs seed2.h5"
        ):
            make_samples(runs, mix=["good", "bad"])
        with pytest.raises(ValueError, match="a mix is of good, middle, bad, not 'best'"):
            make_samples(runs, mix="best")
        assert make_samples(runs, mix="good", good=3, bad=1).sources[1].n_episodes == 2
