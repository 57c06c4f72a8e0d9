"""A run's episodes as Minari reads them, against the run's own."""

import json

import minari
import numpy as np
import pytest

from vrlprobe.analyses._export_minari import component_groups, export_dataset
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.reader import open_run


@pytest.fixture(autouse=True)
def local(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def test_minari_reads_what_the_run_recorded(make_run, local):
    with open_run(make_run("a.h5")) as run, open_run(make_run("b.h5", seed=5)) as other:
        folder = export_dataset([(run, 2000), (other, 2000)], "walker/mixed-v0")
        assert folder == local / "walker" / "mixed-v0"
        episodes = [*run.rollout(2000), *other.rollout(2000)]
        dataset = minari.load_dataset("walker/mixed-v0")
        found = list(dataset.iterate_episodes())
        assert len(found) == dataset.total_episodes == len(episodes)
        assert dataset.total_steps == sum(len(episode) for episode in episodes)
        for theirs, ours in zip(found, episodes, strict=True):
            pixels, state = theirs.observations["pixels"], theirs.observations["state"]
            assert np.array_equal(pixels.transpose(0, 3, 1, 2), ours.images)
            for name, at in component_groups(run.components):
                assert np.array_equal(state[name], ours.states[:, at])
            assert np.array_equal(theirs.actions, ours.actions)
            assert theirs.rewards.sum() == ours.episode_return
            assert not theirs.terminations.any()
            assert theirs.truncations.tolist() == [False] * (len(ours) - 1) + [True]
            assert np.array_equal(theirs.infos["physics"], ours.physics)
        assert all(dataset.observation_space.contains(step) for step in _steps(found[0]))
        assert all(dataset.action_space.contains(action) for action in found[0].actions)
        told = dataset.storage.get_episode_metadata([0, 4])
        assert [(one["run"], one["frame"]) for one in told] == [("a.h5", 2000), ("b.h5", 2000)]
        sources = {"a@2000": run.digest(2000), "b@2000": other.digest(2000)}
        assert json.loads(dataset.storage.metadata["checkpoints"]) == sources
    assert "walker/mixed-v0" in minari.list_local_datasets()


def _steps(episode):
    seen = episode.observations
    for t in range(len(seen["pixels"])):
        state = {name: values[t] for name, values in seen["state"].items()}
        yield {"pixels": seen["pixels"][t], "state": state}


def test_a_failure_leaves_nothing(make_run, local, monkeypatch):
    written = []

    def fails_later(run, episode, render):
        if written:
            raise KeyboardInterrupt
        written.append(episode)
        return np.zeros((len(episode) + 1, 20, 20, 3), np.uint8)

    monkeypatch.setattr("vrlprobe.analyses._export_minari._pixels", fails_later)
    with open_run(make_run("a.h5")) as run, pytest.raises(KeyboardInterrupt):
        export_dataset([(run, 2000)], "a-v0")
    assert list(local.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "a-v", "a b-v0", "/a-v0", "../a-v0", ""])
def test_ids_that_cannot_be(make_run, name):
    with open_run(make_run("a.h5")) as run, pytest.raises(FormatError, match="name-v0"):
        export_dataset([(run, 2000)], name)


CARTPOLE = {"config": {"task": "cartpole_balance"}}


def test_refused(make_run):
    with (
        open_run(make_run("a.h5")) as run,
        open_run(make_run("b.h5", **CARTPOLE)) as b,
        open_run(make_run("c.h5", episodes=0)) as silent,
    ):
        export_dataset([(run, 2000)], "a-v0")
        with pytest.raises(FormatError, match="exists: choose another"):
            export_dataset([(run, 2000)], "a-v0")
        with pytest.raises(SampleError, match=r"share their task: a\.h5 has walker_walk"):
            export_dataset([(run, 2000), (b, 2000)], "b-v0")
        with pytest.raises(SampleError, match=r"no episodes: c\.h5"):
            export_dataset([(silent, 2000)], "b-v0")


def test_components_by_vector():
    names = ["velocity[0]", "height", "velocity[1]", "left/foot[0]"]
    assert component_groups(names) == [("velocity", [0, 2]), ("height", [1]), ("left.foot", [3])]
