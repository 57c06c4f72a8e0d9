"""Cohorts over training: mean, band over runs and the mean's interval, each as the dataset's."""

import numpy as np
import xarray as xr

from vrlprobe.analyses.shared.average import returns
from vrlprobe.figures._cohort import draw
from vrlprobe.stats.bootstrap import FEWEST


def gathered(seed: int, tasks=("walker_walk",) * 8) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    return xr.Dataset(
        {
            "episode_return": (("run", "frame"), rng.uniform(0, 900, (len(tasks), 3))),
            "task": ("run", np.array(tasks, object)),
            "out": ("run", np.zeros(len(tasks))),
            "final_return": ("run", np.full(len(tasks), 450.0)),
            "class": ("run", np.array(["middle"] * len(tasks), object)),
            "verdict": ("run", np.array(["healthy"] * len(tasks), object)),
            "since": ("run", np.full(len(tasks), -1)),
        },
        {"run": [f"seed{i}" for i in range(len(tasks))], "frame": [0, 1000, 2000]},
    )


def test_a_line_and_two_bands_a_cohort() -> None:
    plain, ruled = gathered(0), gathered(1)
    curves = returns({"DrQ-v2": plain, "with the rule": ruled})
    (ax,) = draw(curves).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines) == ["DrQ-v2 (8 runs)", "with the rule (8 runs)"]
    expected = plain["episode_return"].values.mean(axis=0)
    np.testing.assert_allclose(lines["DrQ-v2 (8 runs)"].get_ydata(), expected)
    outer, inner = (set(band.get_paths()[0].vertices[:, 1]) for band in ax.collections[:2])
    low, high = np.quantile(plain["episode_return"].values, [0.05, 0.95], axis=0)
    assert {*low, *high} <= outer
    here = curves.sel(cohort="DrQ-v2", task="walker_walk")
    assert {*here["mean_low"].values, *here["mean_high"].values} <= inner


def test_a_panel_a_task() -> None:
    tasks = ("walker_walk",) * 4 + ("hopper_stand",) * 2
    curves = returns({"a": gathered(0, tasks), "b": gathered(1)})
    axes = draw(curves).axes
    assert [ax.get_title("left") for ax in axes] == ["hopper_stand", "walker_walk"]
    assert [[line.get_label() for line in ax.get_lines()] for ax in axes] == [
        ["a (2 runs)"],
        ["a (4 runs)", "b (8 runs)"],
    ]


def test_only_what_is_drawn_is_explained() -> None:
    def note(count: int) -> str:
        return draw(returns({"a": gathered(0, ("walker_walk",) * count)})).get_supxlabel()

    assert note(1) == ""
    assert "percentile" in note(2)
    assert "interval of the mean" not in note(FEWEST - 1)
    assert "interval of the mean" in note(FEWEST)


def test_the_legend_lies_above_the_curves() -> None:
    tasks = ("walker_walk",) * 4 + ("hopper_stand",) * 4
    figure = draw(returns({"a": gathered(0, tasks), "b": gathered(1), "c": gathered(2)}))
    figure.draw_without_rendering()
    for ax in figure.axes:
        legend = ax.get_legend().get_window_extent()
        assert legend.y0 >= ax.get_window_extent().y1
        assert not legend.overlaps(ax._left_title.get_window_extent())
