"""How fast runs learn, by hand."""

import numpy as np
import pytest

from vrlprobe.stats.speed import area_under_curve, frames_to_threshold, median_frames

FRAMES = [0, 10, 20, 40]
NONE = np.nan
CURVES = [
    [0, 5, 9, 3],  # reaches 9 at 20
    [0, 9, 1, 1],  # reaches it at 10, and loses it again
    [9, 0, 0, 0],  # has it from the start
    [0, 1, 8, NONE],  # last seen at 20, without it
    [0, 1, 2, 8],  # last seen at 40, without it
]


def test_frames_until_the_first_evaluation_over_the_threshold() -> None:
    frames, reached = frames_to_threshold(FRAMES, CURVES, 9)
    assert frames.tolist() == [20, 10, 0, 20, 40]
    assert reached.tolist() == [True, True, True, False, False]
    each, _ = frames_to_threshold(FRAMES, CURVES, [5, 10, 9, 1, 8])
    assert each.tolist() == [10, 40, 0, 10, 40]
    with pytest.raises(ValueError, match="without an evaluation"):
        frames_to_threshold(FRAMES, [[NONE] * 4], 9)


def test_the_median_of_censored_frames_by_hand() -> None:
    """Steps of 4/5 at 0, 3/5 at 10, 3/5 * 2/3 = 2/5 at 20 (one is lost there): the median is 20."""
    frames, reached = frames_to_threshold(FRAMES, CURVES, 9)
    assert median_frames(frames, reached)[0] == 20
    late = frames_to_threshold(FRAMES, CURVES[2:], 9)  # one of three
    assert median_frames(*late)[0] == np.inf
    assert np.isnan(median_frames([1, np.nan], [True, False])).all()


def test_greenwoods_interval_of_the_median_by_hand() -> None:
    """Ten runs, one a frame: the median is 5; its interval is where log(-log S) is near log(log 2).

    S(t) = 1 - t / 10, Greenwood's sum at t: sum of 1 / (n (n - 1)) = t / (10 (10 - t)).
    """
    middle, low, high = median_frames(np.arange(1, 11), np.ones(10, bool))
    t = np.arange(1, 10)
    share = 1 - t / 10
    width = 1.959964 * np.sqrt(t / (10 * (10 - t))) / np.abs(np.log(share))
    ends = [share ** np.exp(sign * width) for sign in (1, -1)]
    assert middle == 5
    assert low == t[ends[0] <= 0.5][0]
    assert high == t[ends[1] <= 0.5][0]


def test_the_area_is_that_of_trapezoids() -> None:
    found = area_under_curve(
        FRAMES, [*CURVES[:1], [0, NONE, 8, NONE], [NONE] * 3 + [7], [NONE] * 4]
    )
    first = (2.5 * 10 + 7 * 10 + 6 * 20) / 40
    np.testing.assert_allclose(found, [first, 4, 7, np.nan])
