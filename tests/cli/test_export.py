"""`vrlprobe export`, as it is typed."""

import torch

from tests.cli.outcome import failed


def test_a_checkpoint_is_written(make_run, call, tmp_path):
    make_run("a.h5")
    done = call("export", "a.h5@1e3", "-o", "x.pt")
    assert done.exit_code == 0, done.output
    assert "critic_target" in done.stdout
    assert "frame 1,000" in done.stderr
    assert "encoder.convnet.0.weight" in torch.load(tmp_path / "x.pt", weights_only=True)
    assert "frame 2,000" in call("export", "a.h5", "-o", "y.safetensors").stderr


def test_mistakes_end_in_one_line(make_run, call, tmp_path):
    make_run("a.h5")
    failed(call("export", "a.h5@500", "-o", "x.pt"), "no checkpoint at frame 500", "1000")
    failed(call("export", "a.h5@lst", "-o", "x.pt"), "did you mean last?")
    failed(call("export", "b.h5", "-o", "x.pt"), "b.h5: no such file")
    failed(call("export", "a.h5", "-o", "x.npz"), "needed .pt or .safetensors")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".h5"] in ([], ["cache"])
