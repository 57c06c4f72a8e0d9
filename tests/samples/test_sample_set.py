"""Sample sets: episodes stay whole, the digest holds, what does not fit is said."""

import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrlprobe.analyses import transplant
from vrlprobe.errors import SampleError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.writer import RunWriter
from vrlprobe.samples.file import load_samples, save_samples
from vrlprobe.samples.make import make_samples, weak_runs
from vrlprobe.samples.sample_set import SPLITS
from vrlprobe.samples.split import split_episodes
from vrltrain.inits import read_init


@pytest.fixture
def runs(make_run):
    paths = [make_run(f"seed{seed}.h5", seed=seed, frames=(0, 1000)) for seed in (1, 2, 3)]
    opened = [open_run(path) for path in paths]
    yield opened
    for run in opened:
        run.close()


def test_no_episode_is_in_two_sets_and_none_is_lost(runs):
    samples = make_samples(runs)
    rows = {name: samples.rows(name) for name in SPLITS}
    episodes = {name: set(samples.episodes[found]) for name, found in rows.items()}
    assert not episodes["train"] & episodes["val"]
    assert not episodes["train"] & episodes["test"]
    assert not episodes["val"] & episodes["test"]
    assert sorted(np.concatenate(list(rows.values()))) == list(range(len(samples)))
    assert set().union(*episodes.values()) == set(range(12))
    assert len(samples) == 12 * 41


def test_samples_are_what_the_agent_saw_and_the_state_then(runs):
    samples = make_samples(runs)
    episode = runs[1].rollout(1000)[2]
    rows = np.flatnonzero(samples.episodes == 6)  # the third episode of the second run
    np.testing.assert_array_equal(samples.observations(rows), episode.observations())
    np.testing.assert_array_equal(samples.states[rows], episode.states)


def test_fewer_samples_are_evenly_spaced_and_keep_their_stacks(runs):
    whole, part = make_samples(runs), make_samples(runs, 120)
    assert len(part) == 120
    rows = np.flatnonzero(part.episodes == 0)
    times = np.linspace(0, 40, len(rows)).round().astype(int)
    np.testing.assert_array_equal(np.diff(times) >= 4, True)
    np.testing.assert_array_equal(part.states[rows], whole.states[times])
    np.testing.assert_array_equal(part.observations(rows), whole.observations(times))
    assert len(part.images) < len(whole.images)


def test_the_digest_follows_the_content_not_the_files_names(runs, make_run, tmp_path):
    first = make_samples(runs).digest
    assert make_samples(runs).digest == first
    assert make_samples(runs, seed=1).digest != first
    assert make_samples(runs, 200).digest != first
    assert make_samples(runs[:2]).digest != first
    renamed = (tmp_path / "seed1.h5").rename(tmp_path / "other.h5")
    with open_run(renamed) as again:
        assert make_samples([again, *runs[1:]]).digest == first


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(0, 5))
def test_shares_of_the_split(sizes, seed):
    origin = np.repeat(np.arange(len(sizes)), sizes)
    if len(origin) < 3:
        return
    split = split_episodes(origin, seed)
    counts = Counter(split.tolist())
    assert min(counts[0], counts[1], counts[2]) >= 1
    assert counts[1] == counts[2] == max(1, round(0.2 * len(origin)))
    for source, size in enumerate(sizes):
        if size >= 10:  # a large source lies in all three sets
            assert set(split[origin == source]) == {0, 1, 2}
    np.testing.assert_array_equal(split, split_episodes(origin, seed))


def test_a_run_given_twice_would_be_in_several_sets(runs, tmp_path):
    shutil.copy(runs[0].path, tmp_path / "copy.h5")
    with open_run(tmp_path / "copy.h5") as copy:
        for again in (runs[0], copy):
            with pytest.raises(SampleError, match=f"{runs[0].path.name} and .* are one run"):
                make_samples([*runs, again])


def test_a_source_is_known_again_under_any_name(runs, make_run, tmp_path):
    samples = make_samples(runs[:2])
    assert samples.contributions(runs[1]) == (1,)
    assert samples.contributions(runs[2]) == ()
    (tmp_path / "seed1.h5").rename(tmp_path / "other.h5")
    with open_run(tmp_path / "other.h5") as again:
        assert samples.contributions(again) == (0,)
    own = samples.rows("test", without=(0,))
    assert set(samples.origin[samples.episodes[own]]) == {1}


def trained_from(made, path, init):
    """A run that began with the networks of `made`, of which `init` is kept, and has moved on."""
    last = {name: array + 1 for name, array in made.parameters.items()}
    kept = {"platform": "here", "init": init}
    with RunWriter.create(
        path, config=made.config, parameters=last, n_actions=2, provenance=kept
    ) as writer:
        writer.commit(5000, last)


class TestTransplantsOfASource:
    def test_a_copy_is_known_at_another_frame(self, runs, tmp_path):
        samples = make_samples(runs[:2])
        transplant("self", runs[1]).save(tmp_path / "copy.h5")
        with open_run(tmp_path / "copy.h5") as copy:
            assert copy.frames.tolist() == [0]
            assert copy.digest(0) == runs[1].digest(1000)
            assert samples.contributions(copy) == (1,)

    @pytest.mark.parametrize("trained", [False, True])
    @pytest.mark.parametrize(("donor", "wanted"), [(0, (0,)), (2, ())])
    def test_one_part_of_it_is_enough(self, runs, tmp_path, donor, wanted, trained):
        samples = make_samples(runs[:2])
        made = transplant(runs[donor], "blank", critic="blank", runs=runs[2])
        path = tmp_path / "cell.h5"
        made.save(path)
        if trained:
            path = tmp_path / "trained.h5"
            trained_from(made, path, read_init(tmp_path / "cell.h5").provenance)
        with open_run(path) as cell:
            assert cell.digest(int(cell.frames[0])) not in {s.checkpoint for s in samples.sources}
            assert samples.contributions(cell) == wanted

    @pytest.mark.parametrize("strange", [False, True])
    def test_a_training_that_began_with_a_source_whole(self, runs, tmp_path, strange):
        init = {"pieces": 3, "checkpoint": []} if strange else read_init(runs[1].path).provenance
        made = transplant("blank", "blank", runs=runs[0])
        trained_from(made, tmp_path / "trained.h5", init)
        with open_run(tmp_path / "trained.h5") as run:
            assert make_samples(runs[:2]).contributions(run) == (() if strange else (1,))


def test_components_by_name_and_alias(runs):
    samples = make_samples(runs)
    assert samples.columns(["velocity[0]", "torso_height"]) == ("height", "velocity[0]")
    with pytest.raises(SampleError, match=r"no component 'velocty\[0\]': did you mean velocity"):
        samples.columns(["velocty[0]"])
    with pytest.raises(SampleError, match="no component is asked for: there are height, "):
        samples.columns([])


def test_a_seed_of_numpy_is_taken_and_kept_as_any_other(runs, tmp_path):
    samples = make_samples(runs, np.int64(120), seed=np.int64(3))
    assert samples.digest == make_samples(runs, 120, seed=3).digest
    save_samples(samples, tmp_path / "set.h5")
    assert load_samples(tmp_path / "set.h5").seed == 3


def test_weak_runs_are_named(make_run):
    with open_run(make_run("weak.h5", reward=0.25)) as run:
        assert weak_runs([run]) == ["weak.h5 returns 10 (good: 20)"]


class TestWhatDoesNotMakeASet:
    @pytest.mark.parametrize("number", [0, -1, 1.5, 600.0, "3"])
    def test_numbers_of_samples_that_cannot_be(self, runs, number):
        with pytest.raises(ValueError, match="n_samples must be"):
            make_samples(runs, number)

    @pytest.mark.parametrize("seed", [-1, 0.5, None])
    def test_seeds_that_cannot_be(self, runs, seed):
        with pytest.raises(ValueError, match="seed must be"):
            make_samples(runs, seed=seed)

    def test_too_few_episodes(self, make_run):
        with (
            open_run(make_run("two.h5", episodes=2)) as run,
            pytest.raises(SampleError, match=r"at least 3 episodes with images, found 2 .*two\.h5"),
        ):
            make_samples([run])

    def test_no_images(self, make_run):
        with (
            open_run(make_run("blind.h5", images=False)) as run,
            pytest.raises(SampleError, match=r"found 0 .*--final-episodes 5 --images last"),
        ):
            make_samples([run])

    def test_no_checkpoint(self, make_run):
        with (
            open_run(make_run("empty.h5", frames=())) as run,
            pytest.raises(SampleError, match=r"empty\.h5 has no checkpoint yet"),
        ):
            make_samples([run])

    def test_runs_of_another_task_or_size(self, runs, make_run):
        other = make_run("other.h5", config={"task": "walker_run"})
        with open_run(other) as run, pytest.raises(SampleError, match="share their task"):
            make_samples([runs[0], run])
        larger = make_run("larger.h5", config={"image_size": 24})
        with open_run(larger) as run, pytest.raises(SampleError, match="share their image shape"):
            make_samples([runs[0], run])

    def test_fewer_samples_than_episodes(self, runs):
        with pytest.raises(SampleError, match="5 samples are fewer than the 12 episodes"):
            make_samples(runs, 5)


def test_observations_are_stacked_as_they_are_asked_for(runs):
    samples = make_samples(runs)
    rows = samples.rows("val")
    stacked, whole = samples.stacked(rows), samples.observations(rows)
    assert (stacked.shape, stacked.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(stacked[5:9], whole[5:9])


class TestShuffledStates:
    def test_every_episode_has_the_states_of_another(self, runs):
        samples = make_samples(runs)
        states = samples.shuffled_states()
        at = {episode: np.flatnonzero(samples.episodes == episode) for episode in range(12)}
        own = {samples.states[rows].tobytes(): episode for episode, rows in at.items()}
        taken = [own[states[at[episode]].tobytes()] for episode in range(12)]
        assert sorted(taken) == list(range(12))
        assert all(other != episode for episode, other in enumerate(taken))
        np.testing.assert_array_equal(states, samples.shuffled_states())
        assert not np.array_equal(states, samples.shuffled_states(seed=1))

    def test_the_course_that_episodes_share_stays(self, runs):
        samples = make_samples(runs)
        time = np.concatenate([np.arange(41)] * 12).astype(float)
        course = np.column_stack([time, samples.episodes]).astype(float)
        shuffled = replace(samples, states=course).shuffled_states()
        np.testing.assert_array_equal(shuffled[:, 0], time)
        assert (shuffled[:, 1] != samples.episodes).all()

    def test_episodes_of_different_length_match_by_their_share(self, runs):
        samples = make_samples(runs)
        kept = np.flatnonzero((samples.episodes != 3) | (np.arange(len(samples)) % 2 == 0))
        shorter = replace(
            samples,
            index=samples.index[kept],
            episodes=samples.episodes[kept],
            states=np.arange(len(kept), dtype=float)[:, None],
        )
        states = shorter.shuffled_states()
        for episode in range(12):
            found = states[shorter.episodes == episode, 0]
            (source,) = set(shorter.episodes[found.astype(int)])
            rows = np.flatnonzero(shorter.episodes == source)
            assert (found[0], found[-1]) == (rows[0], rows[-1])
            assert (np.diff(found) >= 0).all()


def test_a_split_is_one_of_three(runs):
    with pytest.raises(ValueError, match="splits are train, val, test, not 'trian'"):
        make_samples(runs).rows("trian")
