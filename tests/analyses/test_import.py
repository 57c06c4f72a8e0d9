"""Snapshots become runs that every analysis reads."""

import numpy as np
import pytest
import torch

from tests.checkpoints.strangers import DrQV2Agent, save
from vrlprobe.analyses._import import import_checkpoints
from vrlprobe.analyses._metrics import metrics
from vrlprobe.analyses._probe import probe
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.errors import FormatError, SampleError, UnknownTaskError, VrlprobeError
from vrlprobe.runs.reader import open_run

QUICK = {"task": "cartpole_balance", "action_repeat": 50}


@pytest.fixture
def snapshots(tmp_path):
    """Three of one training, the last one first; seeded, as some blank networks are collapsed."""
    torch.manual_seed(0)
    steps = {"late.pt": 3000, "early.pt": 1000, "middle.pt": 2000}
    return [save(tmp_path / name, DrQV2Agent(actions=1), step=n) for name, n in steps.items()]


@pytest.fixture
def observations(tmp_path):
    """Writes an npz file of four episodes, with other arrays over its own."""

    def write(**others):
        rng = np.random.default_rng(0)
        arrays = {
            "images": rng.integers(0, 256, (80, 3, 20, 20), dtype=np.uint8),
            "lengths": np.array([20, 20, 15, 25]),
            "height": rng.random(80),
            "speed": rng.random((80, 2), dtype=np.float32),
            **others,
        }
        path = tmp_path / "obs.npz"
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    return write


@pytest.mark.needs("egl")
def test_snapshots_of_one_training_in_one_run(tmp_path, snapshots):
    done = import_checkpoints(snapshots, tmp_path / "run.h5", episodes=3, **QUICK)
    assert [one.frame for one in done] == [50_000, 100_000, 150_000]
    assert [one.path.name for one in done] == ["early.pt", "middle.pt", "late.pt"]
    with open_run(tmp_path / "run.h5") as run:
        assert run.state == "sealed"
        assert run.frames.tolist() == [50_000, 100_000, 150_000]
        assert run.config["task"] == "cartpole_balance"
        assert [sum(n > 0 for n in run.rollout(f).n_images) for f in run.frames] == [1, 1, 3]
        assert [one.episode_return for one in done] == pytest.approx(run.returns.tolist())
        for frame in run.frames:
            episode, agent = run.rollout(frame)[0], run.agent(frame)
            seen = episode.observations()[:-1]
            np.testing.assert_allclose(agent.act(seen), episode.actions, atol=1e-6)
            observations, noise = run.batch(frame)
            assert len(observations) == len(noise) == 21
            deviation = 1 - 0.9 * frame / 50 / 100_000
            assert np.abs(noise).max() == np.float32(0.3)
            drawn = np.random.default_rng(0).standard_normal((21, 1)) * deviation
            np.testing.assert_allclose(noise, drawn.clip(-0.3, 0.3), rtol=1e-6)
        starts = [run.rollout(frame)[1].states[0] for frame in run.frames]
        np.testing.assert_array_equal(starts[0], starts[2])
        assert run.provenance["import"]["sources"][2]["file"] == "late.pt"
        result = probe(run, [run], keep_own=True, layers=["cnn0", "mlp1"], max_atoms=5)
        norms = metrics(run, [run])["grad_norm"].squeeze("run")
    assert (norms.sel(layer=["mlp0", "mlp1", "mlp2"]) > 0).all()
    assert np.isfinite(result["train_mse"]).all()


@pytest.mark.needs("egl")
def test_a_stopped_import_goes_on_where_it_stopped(tmp_path, snapshots):
    options = {"episodes": 3, **QUICK}
    played = []

    def counted(steps):
        for step in steps:
            played.append(step)
            yield step

    def stopped(steps):
        assert len(steps) == 3 * 3 * 20
        yield from steps[: 4 * 20 + 5]
        raise KeyboardInterrupt

    import_checkpoints(snapshots, tmp_path / "whole.h5", track=counted, **options)
    assert len(played) == 3 * 3 * 20
    with pytest.raises(KeyboardInterrupt):
        import_checkpoints(snapshots, tmp_path / "run.h5", track=stopped, **options)
    kept = sorted((tmp_path / "run.played").iterdir())
    assert len(kept) == 4
    assert not (tmp_path / "run.h5").exists()
    kept[0].write_bytes(kept[0].read_bytes()[:-300])  # damaged: played again
    mine = tmp_path / "run.played" / "mine.txt"
    mine.write_text("not of an import")

    steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            PixelEnv,
            "step",
            lambda env, action, step=PixelEnv.step: steps.append(1) or step(env, action),
        )
        import_checkpoints(snapshots, tmp_path / "run.h5", **options)
    assert len(steps) == (3 * 3 - 3) * 20
    assert [path.name for path in (tmp_path / "run.played").iterdir()] == ["mine.txt"]
    with open_run(tmp_path / "run.h5") as run, open_run(tmp_path / "whole.h5") as whole:
        assert run.frames.tolist() == whole.frames.tolist()
        for frame in run.frames:
            for one, other in zip(run.rollout(frame), whole.rollout(frame), strict=True):
                for name in ("images", "actions", "rewards", "states", "physics"):
                    np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_frames_as_given_and_as_named(tmp_path, snapshots):
    import_checkpoints(snapshots, tmp_path / "a.h5", frames=[7, 5, 6], episodes=0, **QUICK)
    import_checkpoints(snapshots[0], tmp_path / "c.h5", frames=8, episodes=0, **QUICK)
    given = np.array([7, 5, 6])
    import_checkpoints(snapshots, tmp_path / "d.h5", frames=given, episodes=0, **QUICK)
    for wrong in ("7", ["a"], [1.5]):
        with pytest.raises(FormatError, match="frames are whole numbers, one a file, not"):
            import_checkpoints(snapshots[0], tmp_path / "x.h5", frames=wrong, **QUICK)
    bare = [
        save(tmp_path / f"checkpoint-{n}.pt", DrQV2Agent(actions=1), bare=True) for n in (9, 300)
    ]
    import_checkpoints(bare, tmp_path / "b.h5", episodes=0, **QUICK)
    wanted = {"a.h5": [5, 6, 7], "b.h5": [9, 300], "c.h5": [8], "d.h5": [5, 6, 7]}
    for name, frames in wanted.items():
        with open_run(tmp_path / name) as run:
            assert run.frames.tolist() == frames
            assert not len(run.rollout(frames[0]))


@pytest.mark.parametrize("turn", ["as they are", "channels last", "stacked"])
def test_observations_out_of_arrays(tmp_path, snapshots, observations, turn):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (80, 3, 20, 20), dtype=np.uint8)
    given = {
        "as they are": images,
        "channels last": images.transpose(0, 2, 3, 1),
        "stacked": images.repeat(3, axis=1),
    }[turn]
    path = observations(images=given, rewards=np.ones(80))
    import_checkpoints(snapshots, tmp_path / "run.h5", task="my own maze", observations=path)
    with open_run(tmp_path / "run.h5") as run:
        assert run.components == ("height", "speed[0]", "speed[1]")
        assert run.rollout(int(run.frames[-1])).lengths == [19, 19, 14, 24]
        assert run.rollout(int(run.frames[-1])).mean_return == 19.0
        assert not len(run.rollout(int(run.frames[0])))
        assert run.rollout(int(run.frames[-1]))[1].images.shape[1] == (
            9 if turn == "stacked" else 3
        )
        result = probe(run, [run], keep_own=True, layers=["cnn0", "mlp1"], max_atoms=5)
    assert result["component"].values.tolist() == ["height", "speed[0]", "speed[1]"]
    assert np.isfinite(result["test_mse"]).all()


def test_episodes_by_number_and_no_rewards(tmp_path, snapshots, observations):
    path = observations(lengths=None, episode=np.repeat([3, 1, 2, 0], [30, 10, 20, 20]))
    done = import_checkpoints(snapshots[:1], tmp_path / "run.h5", task="maze", observations=path)
    assert np.isnan(done[0].episode_return)
    with open_run(tmp_path / "run.h5") as run:
        assert run.rollout(int(run.frames[-1])).lengths == [29, 9, 19, 19]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"images": None}, "needed `images`, uint8 (n, channels, 20, 20)"),
        ({"images": np.zeros((80, 3, 20, 20))}, "they are float64 (80, 3, 20, 20)"),
        ({"images": np.zeros((80, 3, 21, 20), np.uint8)}, "they are uint8 (80, 3, 21, 20)"),
        ({"images": np.zeros((80, 2, 20, 20), np.uint8)}, "a stack has 9 channels"),
        ({"lengths": None}, "needed either `lengths`"),
        ({"episode": np.zeros(80)}, "needed either `lengths`"),
        ({"lengths": np.array([40, 41])}, "do not make up the 80"),
        ({"lengths": np.array([79, 1])}, "each with two or more"),
        ({"lengths": np.array([100, -20])}, "do not make up"),
        ({"lengths": np.array([2**63 - 1, 2**63 - 1, 82])}, "do not make up the 80"),
        ({"lengths": np.array([20.0, 60.0])}, "`lengths` is float64, needed whole numbers"),
        ({"speed[0]": np.zeros(80)}, "component 'speed[0]' is there twice"),
        ({"a\nb": np.zeros(80)}, "component 'a\\nb' is there twice, or no plain name"),
        ({"lengths": None, "episode": np.arange(80) % 2}, "comes back to an episode"),
        ({"height": np.zeros(79)}, "`height` is float64 (79,), needed numbers for 80"),
        ({"height": np.full(80, np.nan)}, "`height` needs finite numbers"),
        ({"height": None, "speed": None}, "no component of the state"),
        ({"height": np.array(["a"] * 80)}, "`height` is <U1"),
        ({"height": np.array([{}] * 80)}, "it is another file, or holds pickled objects"),
        ({"actions": np.zeros(80)}, "actions (n, n_actions)"),
    ],
)  # fmt: skip
def test_observations_that_do_not_fit(tmp_path, snapshots, observations, others, words):
    path = observations(**others)
    with pytest.raises(SampleError) as error:
        import_checkpoints(snapshots, tmp_path / "run.h5", task="maze", observations=path)
    assert words in str(error.value)
    assert not (tmp_path / "run.h5").exists()


def test_a_single_array_is_no_set_of_observations(tmp_path, snapshots):
    np.save(tmp_path / "obs.npy", np.zeros((80, 9, 20, 20), np.uint8))
    with pytest.raises(SampleError, match="not an npz file of plain arrays: a single array"):
        import_checkpoints(
            snapshots, tmp_path / "run.h5", task="maze", observations=tmp_path / "obs.npy"
        )


@pytest.mark.needs("egl")
def test_an_agent_whose_actions_are_no_numbers(tmp_path):
    agent = DrQV2Agent(actions=1)
    first, second, last = agent.actor.policy[::2]
    torch.nn.init.constant_(first.bias, 1e38)  # finite, and products of them are not
    torch.nn.init.constant_(second.weight, 1e38)
    last.weight.data = torch.tensor([1.0, -1.0]).repeat(1, 8)
    path = save(tmp_path / "a.pt", agent)
    with pytest.raises(VrlprobeError, match="action is no number: its training diverged"):
        import_checkpoints([path], tmp_path / "run.h5", episodes=1, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.needs("egl")
def test_what_is_refused_before_anything_is_written(tmp_path, snapshots):
    other = save(tmp_path / "other.pt", DrQV2Agent(actions=1, hidden=17), step=5)
    again = save(tmp_path / "again.pt", DrQV2Agent(actions=1), step=1000)
    unnumbered = [save(tmp_path / f"{x}.pt", DrQV2Agent(actions=1), bare=True) for x in "ab"]
    output = tmp_path / "run.h5"
    for files, options, words in [
        ([*snapshots, other], {}, "hidden_dim is 17, there 16"),
        ([*snapshots, again], {}, "are both at frame 50000"),
        (unnumbered, {}, "give `frames`, one for each"),
        (snapshots, {"frames": [1, 2]}, "2 frames for 3 files"),
        (snapshots, {"frames": [1, 2, 1]}, "frame 1 is given twice, for "),
        (snapshots, {"frames": [1, 2, 10**20]}, "is beyond any training"),
        (snapshots, {"task": "walker_walk"}, "the agent has 1 actions, walker_walk takes 6"),
        ([tmp_path / "none.pt"], {}, "no such file"),
        ([], {}, "no checkpoint is given"),
    ]:
        with pytest.raises(FormatError) as error:
            import_checkpoints(files, output, **{**QUICK, **options})
        assert words in str(error.value)
    for name in ("action_repeat", "image_size"):
        for number in (0, -1, 1.5):
            with pytest.raises(ValueError, match=f"{name} must be"):
                import_checkpoints(snapshots, output, **{**QUICK, name: number})
    with pytest.raises(ValueError, match="episodes must be at least 0, not -1"):
        import_checkpoints(snapshots, output, episodes=-1, **QUICK)
    for episodes in (0, 3):
        with pytest.raises(UnknownTaskError, match="cartpole_balance"):
            import_checkpoints(snapshots, output, task="cartpole_balanced", episodes=episodes)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pt"] * 7
    output.touch()
    with pytest.raises(FormatError, match="exists"):
        import_checkpoints(snapshots, output, **QUICK)
