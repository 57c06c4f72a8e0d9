"""How early an end can be told: the lines are the dataset's."""

import numpy as np
import xarray as xr

from vrlprobe.analyses._forecast import BLIND, best_metrics
from vrlprobe.figures._forecast import draw

METRICS = ["a", "b", "c", "d", "e", BLIND]


def told() -> xr.Dataset:
    rng = np.random.default_rng(0)
    found, false = rng.integers(0, 3, (6, 5)), rng.integers(0, 4, (6, 5))
    runs = np.full((6, 5), 5)
    runs[2] = runs[5, 0] = 0
    accuracy = np.where(runs, (found / 2 + (3 - false) / 3) / 2, np.nan)
    dims = ("metric", "frame")
    return xr.Dataset(
        {
            "accuracy": (dims, accuracy),
            "found": (dims, found),
            "false": (dims, false),
            "n_runs": (dims, runs),
            "n_bad": (dims, np.where(runs, 2, 0)),
            "saved": (dims, rng.uniform(0, 0.5, (6, 5))),
            "ends_badly": ("run", [True, True, False, False, False]),
        },
        {"metric": METRICS, "frame": np.arange(1, 6) * 1000},
        {"outcome": "stuck"},
    )


def test_the_best_four_are_drawn_and_the_blind_choice() -> None:
    found = told()
    names = best_metrics(found, 4)
    means = found["accuracy"].mean("frame")
    assert set(names) == {"a", "b", "d", "e"}
    assert np.all(np.diff(means.sel(metric=names).values) <= 0)
    accuracy, saved = draw(found, names).axes
    for ax, variable in ((accuracy, "accuracy"), (saved, "saved")):
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert {*names, BLIND} <= lines.keys()
        for name in (*names, BLIND):
            expected = found[variable].sel(metric=name).dropna("frame")
            np.testing.assert_array_equal(lines[name].get_xdata(), expected["frame"])
            np.testing.assert_array_equal(lines[name].get_ydata(), expected)
    assert "2 of 5 runs end stuck" in accuracy.figure.get_supxlabel()


def test_metrics_that_are_named() -> None:
    (accuracy, _) = draw(told(), ["b"]).axes
    assert [t.get_text() for t in accuracy.get_legend().get_texts()] == ["b", BLIND]


def test_what_a_selection_leaves() -> None:
    one = told().sel(metric=["b"])
    assert best_metrics(one, 4) == ["b"]
    accuracy, _ = draw(one, ["b"]).axes
    assert [t.get_text() for t in accuracy.get_legend().get_texts()] == ["b"]
    assert BLIND not in accuracy.figure.get_supxlabel()
    blind = told().sel(metric=[BLIND])
    assert best_metrics(blind, 4) == []
    accuracy, _ = draw(blind, [BLIND]).axes
    assert [t.get_text() for t in accuracy.get_legend().get_texts()] == [BLIND]


def test_the_blind_choice_has_an_interval() -> None:
    found = told()
    accuracy, _ = draw(found, ["b"]).axes
    (band,) = accuracy.collections
    one = found.sel(metric=BLIND)
    ends = band.get_paths()[0].vertices
    known = one["accuracy"].dropna("frame")
    assert known.sizes["frame"] == 4
    for frame, value in zip(known["frame"].values, known.values, strict=True):
        at = ends[ends[:, 0] == frame][:, 1]
        assert at.min() <= value <= at.max()
    assert f"band: 95% interval of {BLIND}" in accuracy.figure.get_supxlabel()
