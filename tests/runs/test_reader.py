"""Reading runs: lazily, while they grow, and what is asked for wrongly."""

import copy
import pickle
import shutil
import subprocess
import sys

import full_run
import h5py
import numpy as np
import pytest
import torch
import xarray as xr

from vrlprobe.errors import FormatError, IntegrityError, UnknownFrameError
from vrlprobe.runs import guard, reader
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.writer import RunWriter


@pytest.fixture
def sealed(tmp_path):
    """A sealed run of three checkpoints."""
    path = tmp_path / "run.h5"
    with full_run.create(path) as writer:
        for i in range(3):
            full_run.commit(writer, i)
    return path


def test_everything_comes_back(sealed):
    """All contents, and the facts about the run."""
    with open_run(str(sealed)) as run:
        assert run.state == "sealed"
        assert run.frames.tolist() == [0, 1000, 2000]
        assert run.frames.dtype == np.int64
        assert run.config["task"] == "walker_walk"
        assert run.components == tuple(full_run.COMPONENTS)
        assert run.aliases == {"torso_height": "height"}
        assert run.provenance["precision"] == "float32"
        assert run.provenance["versions"]["h5py"] == h5py.__version__
        for i in range(3):
            full_run.check(run, i)
        with pytest.raises(TypeError):
            run.config["task"] = "other"


def test_what_a_run_says_cannot_be_changed(sealed):
    with open_run(sealed) as run:
        for values in (run.frames, run.returns):
            with pytest.raises(ValueError, match="read-only"):
                values[:] = 0


def test_returns_are_sums_of_rewards(sealed):
    """In double precision, one an episode."""
    with open_run(sealed) as run:
        rollout = run.rollout(2000)
        expected = [np.sum(e.rewards, dtype=np.float64) for e in full_run.episodes(2)]
        np.testing.assert_array_equal(rollout.returns, expected)
        assert rollout[-1].episode_return == expected[-1]
        assert [len(e) for e in rollout[1:]] == [75, 40]
        with pytest.raises(IndexError):
            rollout[3]


def test_images_are_read_when_used(sealed, monkeypatch):
    """An episode's states cost no images."""
    read = []
    real = guard.read_region
    monkeypatch.setattr(guard, "read_region", lambda d, r: read.append(d.name) or real(d, r))
    with open_run(sealed) as run:
        episode = run.rollout(1000)[0]
        assert episode.states.shape == (111, 5)
        assert "/rollouts/images" not in read
        assert episode.images.shape == (111, 3, 12, 12)
        assert episode.observations(indices=[0, 5]).shape == (2, 9, 12, 12)
        assert read.count("/rollouts/images") == 1
        assert run.rollout(2000)[1].images is None


@pytest.mark.parametrize("frame", ["last", [0], None])
def test_what_is_no_frame(sealed, frame):
    with open_run(sealed) as run, pytest.raises(UnknownFrameError, match="is a number, not"):
        run.agent(frame)


def test_what_is_gone_leaves_what_was_shown(sealed, tmp_path):
    with open_run(sealed) as run:
        kept = run.digest(1000)
        sealed.unlink()
        with pytest.raises(FormatError, match="no such file"):
            run.refresh()
        sealed.write_bytes(b"no run")
        with pytest.raises(FormatError, match="not an HDF5 file"):
            run.refresh()
        assert run.digest(1000) == kept
        run.parameters(2000)


def _spoil(path, name, number=0):
    with h5py.File(path, "r") as file:
        place = file[name].id.get_chunk_info(number).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"damaged!")


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("name", ["run/config", "run/committed", "log/frame"])
def test_what_is_damaged_leaves_what_was_shown(sealed, tmp_path, name, replaced):
    spoilt = tmp_path / "spoilt.h5"
    shutil.copy(sealed, spoilt)
    _spoil(spoilt, name)
    with open_run(sealed) as run:
        kept = run.digest(1000)
        if replaced:
            spoilt.replace(sealed)
        else:
            shutil.copyfile(spoilt, sealed)
        with pytest.raises((FormatError, IntegrityError), match=r"run\.h5"):
            run.refresh()
        assert run.digest(1000) == kept
        run.parameters(2000)


def test_a_run_of_which_nothing_can_be_read_any_more_is_closed(sealed):
    with open_run(sealed) as run:
        with sealed.open("r+b") as file:
            file.seek(48)
            file.write(bytes(8192))
        with pytest.raises(IntegrityError, match=r"run\.h5"):
            run.refresh()
        with pytest.raises(FormatError, match="is closed: open it again"):
            run.parameters(2000)


@pytest.mark.parametrize("kind", [int, float, np.int64, np.array, xr.DataArray, torch.tensor])
def test_frames_are_numbers_of_any_kind(sealed, kind):
    with open_run(sealed) as run:
        assert run.row(kind(1000)) == 1


def test_returns_are_the_logs_where_no_rollout_was_recorded(make_run):
    path = make_run("few.h5", frames=(0, 1000, 2000), log={"episode_return": [5.0, 30.0, 70.0]})
    with open_run(path) as run:
        assert run.returns.tolist() == [40, 40, 40]  # the rollouts' where there are any
    path = make_run("none.h5", episodes=0, log={"episode_return": [5.0, 30.0, 70.0]})
    with open_run(path) as run:
        assert run.returns.tolist() == [5, 30, 70]


@pytest.mark.parametrize("send", [pickle.dumps, copy.deepcopy])
def test_an_open_run_is_not_sent_to_another_process(make_run, send):
    with open_run(make_run("a.h5")) as run:
        for given in (run, [run], run.rollout(2000)):
            with pytest.raises(
                TypeError, match=r"<Run a\.h5: .* is an open file, .* give that its"
            ):
                send(given)


def test_an_episode_is_sent_to_another_process(make_run):
    with open_run(make_run("a.h5")) as run:
        episode = run.rollout(2000)[0]
        found = pickle.loads(pickle.dumps(episode))
        unseen = copy.copy(run.rollout(0)[1])
    np.testing.assert_array_equal(found.observations(3), episode.observations(3))
    for name in ("actions", "rewards", "states", "physics"):
        np.testing.assert_array_equal(getattr(found, name), getattr(episode, name))
    assert unseen.images is None


def test_a_run_says_that_it_is_closed(sealed):
    with open_run(sealed) as run:
        assert repr(run).endswith("checkpoints, sealed>")
    assert repr(run).endswith("checkpoints, closed>")
    with pytest.raises(FormatError, match="is closed: open it again"):
        _ = run.size


def test_an_unknown_frame_names_its_neighbours(sealed):
    """So that the next try is right."""
    with open_run(sealed) as run, pytest.raises(UnknownFrameError, match="nearest are 0, 1000"):
        run.parameters(500)


def test_a_growing_run_is_followed_with_refresh(tmp_path):
    """In the writer's process; state and checkpoints as it goes on, to the seal."""
    path = tmp_path / "run.h5"
    writer = full_run.create(path)
    with open_run(path) as run:
        assert (run.state, len(run.frames)) == ("growing", 0)
        assert run.log.sizes["frame"] == 0
        for i in range(3):
            full_run.commit(writer, i)
            assert len(run.frames) == len(run.returns) == i
            run.refresh()
            assert (run.state, len(run.frames)) == ("growing", i + 1)
            full_run.check(run, i)
        run.close()
        writer.close()
        run.refresh()
        assert run.state == "sealed"


def test_another_process_is_followed_while_it_writes(tmp_path):
    """Open after open, whatever it is doing: the checkpoints seen never shrink and are whole."""
    path = tmp_path / "run.h5"
    command = [sys.executable, full_run.__file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        seen = 0
        for _ in range(25):
            with open_run(path) as run:
                assert run.state == "growing"
                assert len(run.frames) >= seen
                seen = len(run.frames)
                full_run.check(run, seen - 1)
        process.kill()
    assert seen > 1


def test_a_process_may_follow_a_run_with_two_handles(tmp_path):
    """HDF5 shares its memory of the file between them, and must not answer from an old one."""
    path = tmp_path / "run.h5"
    command = [sys.executable, full_run.__file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        with open_run(path) as early:
            first = len(early.frames)
            for _ in range(4):
                process.stdout.readline()
            with open_run(path) as late:
                assert len(late.frames) >= first + 3
                full_run.check(late, len(late.frames) - 1)
                full_run.check(early, first - 1)
            early.refresh()
            assert len(early.frames) >= first + 3
            full_run.check(early, len(early.frames) - 1)
        process.kill()


def test_a_held_run_goes_on_reading_after_later_commits(tmp_path):
    """What was there at opening stays readable without a refresh."""
    path = tmp_path / "run.h5"
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        with open_run(path) as run:
            for i in range(1, 6):
                full_run.commit(writer, i)
                full_run.check(run, 0)


def test_refresh_follows_a_replaced_file(sealed, tmp_path):
    """Another file under the same name, as salvage leaves it."""
    other = tmp_path / "other.h5"
    with full_run.create(other) as writer:
        full_run.commit(writer, 7)
    with open_run(sealed) as run:
        other.replace(sealed)
        full_run.check(run, 2)
        run.refresh()
        assert run.frames.tolist() == [7000]


def test_a_relative_path_holds_after_a_change_of_folder(tmp_path, monkeypatch):
    """It is followed with refresh and opened again, and keeps the name it was given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with full_run.create(tmp_path / "run.h5") as writer:
        full_run.commit(writer, 0)
        with open_run("run.h5") as run:
            monkeypatch.chdir("elsewhere")
            full_run.commit(writer, 1)
            run.refresh()
            assert run.frames.tolist() == [0, 1000]
            run.close()
            run.open_again()
            full_run.check(run, 1)
            run.refresh()
            assert str(run.path) == "run.h5"


def test_a_run_with_weights_alone(tmp_path):
    """The smallest thing somebody else may write."""
    path = tmp_path / "run.h5"
    weights = {"actor/w": np.ones((2, 3), np.float32)}
    with RunWriter.create(path, config={"task": "mine"}, parameters=weights) as writer:
        writer.commit(0, weights)
    with open_run(path) as run:
        np.testing.assert_array_equal(run.parameters(0)["actor/w"], 1)
        assert len(run.rollout(0)) == 0
        assert run.rollout(0).returns.shape == (0,)
        assert list(run.log.data_vars) == []


def test_the_agent_is_built_by_its_architecture(sealed, monkeypatch):
    """The registered class gets the config and the named parameters; without one, one line."""

    class Agent:
        @classmethod
        def from_parameters(cls, config, parameters):
            if config["task"] != "walker_walk":
                raise ValueError("a leg too many")
            agent = cls()
            agent.parameters = parameters
            return agent

    with open_run(sealed) as run:
        monkeypatch.setattr(reader, "architecture", lambda config, where: Agent)
        assert list(run.agent(1000).parameters) == list(full_run.SHAPES)
        run.config = {"task": "ant_walk"}
        with pytest.raises(FormatError, match="no agent can be built: a leg too many"):
            run.agent(1000)
        run.config = {}
        with pytest.raises(FormatError, match="the config lacks 'task'"):
            run.agent(1000)
        monkeypatch.undo()
        run.config = {"architecture": "unheard of"}
        with pytest.raises(FormatError, match=r"'unheard of' is not installed; known:.*drqv2"):
            run.agent(1000)


def test_readers_are_chosen_by_version(sealed, monkeypatch):
    """A later version is one more function; an unknown one is one line."""
    with h5py.File(sealed, "r+") as file:
        file.attrs["format_version"] = np.int64(2)
    with pytest.raises(FormatError, match="format version 2; this vrlprobe reads 1"):
        open_run(sealed)
    monkeypatch.setitem(reader.READERS, 2, reader.READERS[1])
    with open_run(sealed) as run:
        full_run.check(run, 0)


def test_a_sealed_run_may_be_open_elsewhere_in_the_process(sealed):
    """HDF5 minds the modes of two handles; its readers need not know."""
    with h5py.File(sealed, "r") as plain, open_run(sealed) as run:
        full_run.check(run, 1)
        assert plain["run/committed"][0] == 3
    with open_run(sealed) as run, h5py.File(sealed, "r") as plain, open_run(sealed) as again:
        full_run.check(run, 1)
        full_run.check(again, 1)
        assert plain["run/committed"][0] == 3
