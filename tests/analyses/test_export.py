"""A checkpoint written out is the one that was stored, and comes back the same."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.checkpoints.strangers import DrQV2Agent
from vrlprobe.analyses._export import export_checkpoint
from vrlprobe.analyses._film import Renderer
from vrlprobe.analyses._import import import_checkpoints
from vrlprobe.analyses._transplant import transplant
from vrlprobe.checkpoints.read import read_checkpoint
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.reader import open_run


@pytest.fixture
def run(make_run):
    with open_run(make_run("a.h5")) as run:
        yield run


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_out_and_in_again(tmp_path, run, suffix):
    sizes = export_checkpoint(run, 1000, tmp_path / f"x{suffix}")
    assert sum(sizes.values()) == sum(array.size for array in run.parameters(1000).values())
    import_checkpoints(tmp_path / f"x{suffix}", tmp_path / "b.h5", task="walker_walk", episodes=0)
    with open_run(tmp_path / "b.h5") as again:
        assert again.digest(1000) == run.digest(1000)
        assert again.config["action_repeat"] == 2


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_shapes_do_not_say_comes_back(tmp_path, make_run, suffix):
    path = make_run("leaky.h5", config={"activation": "leaky_relu", "image_size": 19})
    seen = np.random.default_rng(0).integers(0, 256, (5, 9, 19, 19), dtype=np.uint8)
    with open_run(path) as run:
        export_checkpoint(run, 2000, tmp_path / f"x{suffix}")
        wanted = run.agent(2000).act(seen)
    found = read_checkpoint(tmp_path / f"x{suffix}")
    assert found.config["activation"] == "leaky_relu"
    assert found.steps == 1000
    np.testing.assert_array_equal(found.agent().act(seen), wanted)
    with pytest.raises(FormatError, match="whose activation is leaky_relu"):
        read_checkpoint(tmp_path / f"x{suffix}", activation="tanh")


@pytest.mark.needs("egl")
def test_it_plays_on_images_as_it_was_trained_on(tmp_path):
    with open_run("fixtures/cartpole_balance.h5") as run:
        assert run.config["render"] == "fast"
        export_checkpoint(run, int(run.frames[-1]), tmp_path / "x.pt")
    import_checkpoints(tmp_path / "x.pt", tmp_path / "b.h5", task="cartpole_balance", episodes=1)
    with open_run(tmp_path / "b.h5") as again, Renderer() as render:
        assert again.config["render"] == "fast"
        episode = again.rollout(int(again.frames[-1]))[0]
        images = render(again, episode.physics[:5])
        np.testing.assert_array_equal(images, episode.images[:5])
        rough = PixelEnv("cartpole_balance", image_size=images.shape[-1], render="full")
        with rough:
            assert (rough.render_state(episode.physics[0]) != images[0]).any()


def test_nothing_of_killed_writers_stays(tmp_path, run):
    """Of an import and a transplant alike."""
    export_checkpoint(run, 1000, tmp_path / "x.pt")
    makes = {
        "b.h5": lambda path: import_checkpoints(
            tmp_path / "x.pt", path, task="walker_walk", episodes=0
        ),
        "t.h5": lambda path: transplant(run, "self").save(path),
    }
    for name in makes:
        for left in (f".{name}.0a1b2c3d.part", f".{name}.0a1b2c3d.part.lock", f"{name}.lock"):
            (tmp_path / left).touch()
    for name, make in makes.items():
        make(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.h5", "x.pt", *makes])


def test_a_checkpoint_is_of_one_run(tmp_path, run):
    for given in ([run, run], [run]):
        with pytest.raises(SampleError, match="give an open run by itself"):
            export_checkpoint(given, 1000, tmp_path / "x.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_the_references_networks_load_it(tmp_path, run):
    export_checkpoint(run, 1000, tmp_path / "x.pt")
    state = torch.load(tmp_path / "x.pt", weights_only=True)
    agent = DrQV2Agent(size=20, actions=2)
    for part in ("encoder", "actor", "critic", "critic_target"):
        own = {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(f"{part}.")}
        getattr(agent, part).load_state_dict(own)
    seen = np.random.default_rng(0).integers(0, 256, (5, 9, 20, 20), dtype=np.uint8)
    np.testing.assert_allclose(agent.act(seen), run.agent(1000).act(seen), atol=1e-6)


def test_safetensors_say_what_they_are(tmp_path, run):
    export_checkpoint(run, 2000, tmp_path / "x.safetensors")
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        told = file.metadata()
    assert told["checkpoint"] == run.digest(2000)
    assert json.loads(told["config"])["hidden_dim"] == 16


def test_refused(tmp_path, run):
    with pytest.raises(FormatError, match=r"needed .pt or .safetensors"):
        export_checkpoint(run, 0, tmp_path / "x.npz")
    (tmp_path / "x.pt").touch()
    with pytest.raises(FormatError, match="exists"):
        export_checkpoint(run, 0, tmp_path / "x.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_folder_that_cannot_be_written(run, suffix):
    path = f"/proc/self/x{suffix}"  # nobody makes a file there, not even root
    with pytest.raises(FormatError, match=f"cannot write {path}: "):
        export_checkpoint(run, 0, path)
