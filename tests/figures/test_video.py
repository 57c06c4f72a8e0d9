"""Videos from Python: size, speed, and what they need."""

import json
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from vrlprobe import write_video
from vrlprobe.errors import FormatError
from vrlprobe.figures import _video as video

PROBE = ("ffprobe", "-v", "error", "-count_frames", "-print_format", "json", "-show_streams")


def strip(step_seconds: float, steps: int = 1) -> xr.Dataset:
    """Two episodes of 5 images, 21 pixels across, so many steps of 2 frames from one another."""
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 21, 21, 3), dtype=np.uint8)
    dims = ("row", "time", "y", "x", "colour")
    return xr.Dataset(
        {"image": (dims, images)},
        {"frame": ("time", 2 * steps * np.arange(5))},
        {"step_seconds": step_seconds, "action_repeat": 2, "vrlprobe": "film"},
    )


@pytest.mark.parametrize(("step", "rate"), [(0.05, "20/1"), (float("nan"), "25/1")])
def test_it_runs_as_fast_as_the_task(tmp_path, step: float, rate: str) -> None:
    write_video(strip(step), tmp_path / "a.mp4")
    shown = subprocess.run([*PROBE, str(tmp_path / "a.mp4")], capture_output=True, check=True)
    (stream,) = json.loads(shown.stdout)["streams"]
    assert stream["r_frame_rate"] == rate
    assert int(stream["nb_read_frames"]) == 5
    assert (stream["width"], stream["height"]) == (462, 230)  # even; 11 times 42 and 21


@pytest.mark.parametrize(
    ("film", "rate"),
    [
        (strip(0.05), 20.0),
        (strip(0.05, steps=10), 2.0),
        (strip(0.05).isel(time=slice(None, None, 4)), 5.0),
        (strip(0.05).isel(time=[0]), 20.0),
        (strip(float("nan"), steps=5), 5.0),
    ],
)
def test_a_strip_takes_as_long_as_its_episode(tmp_path, monkeypatch, film, rate: float) -> None:
    rates = []

    def encode(images, codec: str, fps: float) -> bytes:
        rates.append(fps)
        return codec.encode()

    monkeypatch.setattr(video, "check_video", lambda _: SimpleNamespace(compress_video=encode))
    write_video(film, tmp_path / "a.gif")
    assert rates == [pytest.approx(rate)]
    assert (tmp_path / "a.gif").read_bytes() == b"gif"


def test_what_is_no_whole_film(tmp_path) -> None:
    one_row = strip(0.1).assign_coords(run=("row", ["a", "b"])).isel(row=0)
    with pytest.raises(FormatError, match="one run and no dimension of it left"):
        write_video(one_row, tmp_path / "a.mp4")
    with pytest.raises(FormatError, match="a result of film is needed, not one of cohort"):
        write_video(strip(0.1).assign_attrs(vrlprobe="cohort"), tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_another_ending(tmp_path) -> None:
    with pytest.raises(FormatError, match=r"must end in \.mp4 or \.gif"):
        write_video(strip(0.1), tmp_path / "a.avi")
    assert not list(tmp_path.iterdir())
