"""When metrics switch: the dots are the dataset's lags."""

import numpy as np
import xarray as xr

from vrlprobe.figures._escape import DODGE, draw


def test_a_row_a_metric_the_best_on_top_a_dot_a_run() -> None:
    found = xr.Dataset(
        {
            "separation": ("metric", [0.9, 0.02, 0.6]),
            "lag": (("metric", "run"), [[0, 2000], [-2000, 0], [np.nan, 4000]]),
            "escape": ("run", [12_000, 60_000]),
        },
        {"metric": ["cosine", "rank", "zeros"], "run": ["seed1", "seed4"]},
        {"interval": 2000, "n_collapsed": 20, "n_healthy": 30},
    )
    figure = draw(found)
    dots, bars = figure.axes
    assert [label.get_text() for label in dots.get_yticklabels()] == ["zeros", "cosine", "rank"]
    lines = {line.get_label(): line for line in dots.get_lines()}
    first = lines["seed1, out at 12k"]
    np.testing.assert_array_equal(first.get_xdata(), [np.nan, 0, -2000])
    np.testing.assert_allclose(first.get_ydata(), np.arange(3) + DODGE)
    np.testing.assert_array_equal(lines["seed4, out at 60k"].get_xdata(), [4000, 2000, 0])
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths, [0.1, 0.4, 0.48])
    (strip,) = dots.patches
    assert (strip.get_x(), strip.get_width()) == (-2000, 4000)


def test_runs_of_one_colour_have_another_mark() -> None:
    names = [f"seed{n}" for n in range(7)]
    found = xr.Dataset(
        {
            "separation": ("metric", [0.9]),
            "lag": (("metric", "run"), np.zeros((1, 7))),
            "escape": ("run", np.arange(7) * 1000),
        },
        {"metric": ["rank"], "run": names},
        {"interval": 2000, "n_collapsed": 20, "n_healthy": 30},
    )
    lines = [line for line in draw(found).axes[0].get_lines() if line.get_label()[:4] == "seed"]
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == 7


def test_dots_at_one_place_are_all_to_be_seen() -> None:
    """Fourteen runs of the desk study switch at 0: none hides another by more than half."""
    found = xr.Dataset(
        {
            "separation": ("metric", [0.9, 0.8]),
            "lag": (("metric", "run"), np.zeros((2, 14))),
            "escape": ("run", np.arange(14) * 1000),
        },
        {"metric": ["rank", "norm"], "run": [f"seed{n}" for n in range(14)]},
        {"interval": 2000, "n_collapsed": 20, "n_healthy": 30},
    )
    figure = draw(found)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    heights = [
        ax.transData.transform((0, line.get_ydata()[row]))[1]
        for row in range(2)
        for line in ax.get_lines()
        if line.get_label()[:4] == "seed"
    ]
    dot = 2.2 * figure.dpi / 72
    assert np.diff(np.sort(heights)).min() > 0.5 * dot
