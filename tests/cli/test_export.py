"""`vrlprobe export`, as it is typed."""

import sys
from pathlib import Path

import minari
import torch

from tests.cli.outcome import failed
from vrlprobe.runs.reader import open_run

FIXTURE = Path(__file__).parents[2] / "fixtures" / "cartpole_balance.h5"


def test_a_checkpoint_is_written(make_run, call, tmp_path):
    make_run("a.h5")
    done = call("export", "a.h5@1e3", "-o", "x.pt")
    assert done.exit_code == 0, done.output
    assert "critic_target" in done.stdout
    assert "frame 1,000" in done.stderr
    assert "encoder.convnet.0.weight" in torch.load(tmp_path / "x.pt", weights_only=True)
    assert "frame 2,000" in call("export", "a.h5", "-o", "y.safetensors").stderr


def test_episodes_of_all_checkpoints_become_a_dataset(call, monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    done = call("export", f"{FIXTURE}@all", FIXTURE, "--minari", "cartpole/all-v0")
    assert done.exit_code == 0, done.output
    assert "minari.load_dataset('cartpole/all-v0')" in done.stderr
    dataset = minari.load_dataset("cartpole/all-v0")
    with open_run(FIXTURE) as run:
        lengths = [len(episode) for frame in run.frames for episode in run.rollout(int(frame))]
        assert [len(episode.rewards) for episode in dataset.iterate_episodes()] == lengths
        assert f"{run.frames[0]:,}" in done.stdout
    failed(call("export", FIXTURE, "--minari", "cartpole/all-v0"), "exists")
    monkeypatch.setitem(sys.modules, "minari", None)
    failed(call("export", FIXTURE, "--minari", "b-v0"), "[minari]", "pip install")


def test_one_thing_is_written(make_run, call):
    make_run("a.h5")
    assert call("export", "a.h5").exit_code == 2
    assert call("export", "a.h5", "-o", "x.pt", "--minari", "a-v0").exit_code == 2
    assert call("export", "a.h5", "a.h5@1000", "-o", "x.pt").exit_code == 2


def test_mistakes_end_in_one_line(make_run, call, tmp_path):
    make_run("a.h5")
    failed(call("export", "a.h5@500", "-o", "x.pt"), "no checkpoint at frame 500", "1000")
    failed(call("export", "a.h5@lst", "-o", "x.pt"), "did you mean last?")
    failed(call("export", "b.h5", "-o", "x.pt"), "b.h5: no such file")
    failed(call("export", "a.h5", "-o", "x.npz"), "needed .pt or .safetensors")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".h5"] == []
