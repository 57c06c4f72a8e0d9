"""`vrlprobe film`: strips and videos."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.cli.outcome import failed
from vrlprobe.results.file import load_result

PROBE = ("ffprobe", "-v", "error", "-count_frames", "-print_format", "json", "-show_streams")


@pytest.fixture
def runs(make_run):
    for seed in (1, 2):
        make_run(f"seed{seed}.h5", seed=seed, frames=(0, 1000))
    return ["seed1.h5", "seed2.h5"]


def test_a_strip(call, runs, tmp_path) -> None:
    options = ("--count", 3, "--until", 40, "--episodes", "0,1", "--data", "strip.nc")
    result = call("film", *runs, "-o", "strip.pdf", *options)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "strip.pdf").read_bytes().startswith(b"%PDF")
    assert load_result(tmp_path / "strip.nc")["image"].shape == (4, 3, 20, 20, 3)


def test_a_video_has_every_step_of_all_runs_side_by_side(call, runs, tmp_path) -> None:
    result = call("film", *runs, "--video", "out.mp4")
    assert result.exit_code == 0, result.output
    probed = subprocess.run(
        [*PROBE, str(tmp_path / "out.mp4")],
        capture_output=True, check=True,
    )  # fmt: skip
    (stream,) = json.loads(probed.stdout)["streams"]
    assert (stream["codec_name"], int(stream["nb_read_frames"])) == ("h264", 41)
    assert (stream["width"], stream["height"]) == (480, 240)


def test_what_a_video_needs(call, runs, monkeypatch) -> None:
    failed(call("film", *runs, "--video", "out.avi"), "must end in .mp4 or .gif")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    failed(call("film", *runs, "--video", "out.mp4"), "videos need ffmpeg", "apt-get install")
    monkeypatch.setitem(sys.modules, "mediapy", None)
    failed(call("film", *runs, "--video", "out.mp4"), "[video]", "pip install")


def test_what_cannot_be_shown(call, runs) -> None:
    failed(call("film", *runs, "-o", "a.png", "--episodes", "7"), "no episode 7")
    failed(call("film", *runs, "-o", "a.png", "--frame", "5"), "no checkpoint at frame 5")
    failed(call("film", "none.h5", "-o", "a.png"), "none.h5: no such file")
    assert call("film", *runs).exit_code == 2
    assert call("film", *runs, "-o", "a.png", "--frame", "all").exit_code == 2
    assert call("film", *runs, "-o", "a.png", "--episodes", "x").exit_code == 2
