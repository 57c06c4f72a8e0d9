"""How long collapse lasts, drawn: the curves are the dataset's."""

import json

import numpy as np
import xarray as xr

from vrlprobe.figures._survival import draw

FRAMES = np.array([4000, 8000, 20_000])


def waited() -> xr.Dataset:
    dims = ("bound", "frame")
    return xr.Dataset(
        {
            "in_collapse": (dims, [[0.8, 0.5, 0.5], [0.3, 0.1, 0.1], [0.9, 0.8, 0.8]]),
            "frames_per_escape": (
                dims, [[np.inf, 12e3, 15e3], [9e3, 8e3, 9e3], [np.inf, 30e3, np.inf]]
            ),
            "cutoff": ("bound", [8000.0, 4000, 20_000]),
            "duration": ("attempt", [4000, 8000, 20_000]),
            "out": ("attempt", [True, True, False]),
        },
        {"frame": FRAMES, "bound": ["estimate", "low", "high"]},
        {"configs": json.dumps({"a": {"rule_window": 9000}, "b": {"rule_window": None}})},
    )  # fmt: skip


def test_curves_ticks_and_cutoffs() -> None:
    still, cost = draw(waited()).axes
    steps, ticks = still.get_lines()
    np.testing.assert_array_equal(steps.get_xdata(), FRAMES)
    np.testing.assert_array_equal(steps.get_ydata(), [0.8, 0.5, 0.5])
    np.testing.assert_array_equal(ticks.get_xydata(), [[20_000, 0.5]])
    assert still.get_title("left") == "2 of 3 attempts are out"
    line = cost.get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), [np.inf, 12e3, 15e3])
    labels = [text.get_text() for text in cost.get_legend().get_texts()]
    assert labels == ["fewest, at 8,000", "the rule's window, 9,000"]
    assert cost.get_title("right") == "up to ∞ ↑"
    known = waited()
    known["frames_per_escape"].loc["high"] = [123_456, 30e3, 20e3]
    assert draw(known).axes[1].get_title("right") == "up to 120k ↑"
    known["frames_per_escape"].loc["high"] = 24e3  # the top of the axis is 1.6 times 15,000
    assert draw(known).axes[1].get_title("right") == ""


def test_ticks_are_on_the_curve_of_the_frames_that_are_left() -> None:
    found = waited()
    found["out"][:] = False
    for kept, expected in ((slice(0, 8000), [[4000, 0.8], [8000, 0.5]]), ([4000], [[4000, 0.8]])):
        ticks = draw(found.sel(frame=kept)).axes[0].get_lines()[1]
        np.testing.assert_array_equal(ticks.get_xydata(), expected)
    ticks = draw(found.sel(frame=[4000, 20_000])).axes[0].get_lines()[1]
    np.testing.assert_array_equal(ticks.get_xydata(), [[4000, 0.8], [8000, 0.8], [20_000, 0.5]])


def test_what_bands_and_ticks_are_is_said() -> None:
    assert "95% intervals" in draw(waited()).get_supxlabel()
