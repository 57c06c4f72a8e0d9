"""Which frames, names and labels an analysis works with."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from vrlprobe.errors import FormatError, UnknownFrameError
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.selection import choose, resolve_frame, resolve_frames, run_labels

LEARNED = Path(__file__).parents[2] / "fixtures" / "walker_walk-learned.h5"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("last", [100_000]),
        ("best", [100_000]),
        ("all", [0, 8000, 12_000, 40_000, 100_000]),
        (8000, [8000]),
        (np.int64(8000), [8000]),
        (np.array(8000), [8000]),
        ([40_000, 0, 40_000], [0, 40_000]),
        (np.array([0, 12_000]), [0, 12_000]),
        (np.array([0.0, 1.2e4]), [0, 12_000]),
        (range(0, 9000, 8000), [0, 8000]),
        (xr.DataArray(8000.0), [8000]),  # log["episode_return"].idxmax()
        (xr.DataArray([0, 8000], dims="frame"), [0, 8000]),
    ],
)
def test_frames_are_words_numbers_or_several(wanted, found) -> None:
    with open_run(LEARNED) as run:
        assert resolve_frames(run, wanted) == found


def test_one_frame_is_one() -> None:
    with open_run(LEARNED) as run:
        assert resolve_frame(run, "best") == 100_000
        with pytest.raises(UnknownFrameError, match="one frame is needed, last, best or a number"):
            resolve_frame(run, "all")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("latest", r"not 'latest' \(did you mean last\?\)"),
        (9000, "no checkpoint at frame 9000; the nearest are 0, 8000, 12000, 40000"),
        ([8000.5], "no checkpoint at frame 8000.5"),
        (-1, "no checkpoint at frame -1"),
        ([], "no frame is asked for"),
    ],
)
def test_frames_that_are_not_there(wanted, told) -> None:
    with open_run(LEARNED) as run, pytest.raises(UnknownFrameError, match=told):
        resolve_frames(run, wanted)


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["runs/seed1.h5", "runs/seed2.h5"], ["seed1", "seed2"]),
        (["plain/s1.h5", "ruled/s1.h5", "ruled/s2.h5"], ["plain/s1", "ruled/s1", "s2"]),
        (["a/runs/s1.h5", "b/runs/s1.h5", "s2.h5"], ["s1#1", "s1#2", "s2"]),
        (["s1.h5", "ruled/s1.h5"], ["s1", "ruled/s1"]),
        (["a/s/s1.h5", "b/s/s1.h5", "s1#1.h5"], ["s1#2", "s1#3", "s1#1"]),
    ],
)
def test_labels_are_as_short_as_they_can_be(paths, labels) -> None:
    assert run_labels([SimpleNamespace(path=Path(path)) for path in paths]) == labels


def test_a_name_is_chosen_once_and_a_wrong_one_gets_the_nearest() -> None:
    there = ["cnn4", "mlp1", "mlp2"]
    assert choose("mlp1", there, "layer") == ["mlp1"]
    assert choose(["mlp2", "cnn4", "mlp2"], there, "layer") == ["mlp2", "cnn4"]
    assert choose(None, there, "layer", ("mlp1", "mlp0")) == ["mlp1"]
    assert choose(None, there, "layer") == there
    with pytest.raises(FormatError, match=r"no layer 'mpl1' here: did you mean mlp1\?"):
        choose("mpl1", there, "layer")
