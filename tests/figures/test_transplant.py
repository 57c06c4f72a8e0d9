"""The grid's numbers and the curves are those of the cohort by init."""

import json

import numpy as np
import xarray as xr

from vrlprobe.figures._transplant import draw

CELLS = {
    "blank-blank": (5, 20), "blank-good": (16, 20), "blank-bad": (0, 20),
    "good-good": (20, 20), "good-bad": (0, 20), "scratch": (3, 8),
    "good-good-critic_blank": (7, 10),
}  # fmt: skip


def counted():
    names = list(CELLS)
    curves = np.random.default_rng(0).uniform(0, 900, (len(names), 4))
    curves[[CELLS[name][0] == 0 for name in names]] = np.nan
    return xr.Dataset(
        {
            "successes": ("group", [CELLS[name][0] for name in names]),
            "runs": ("group", [CELLS[name][1] for name in names]),
            "curve": (("group", "frame"), curves),
        },
        {"group": names, "frame": [0, 1000, 2000, 3000]},
    )


def test_the_grid_has_the_counts_in_the_papers_order() -> None:
    plain, other, _ = draw(counted()).axes
    assert [label.get_text() for label in plain.get_xticklabels()] == ["blank", "good", "bad"]
    shown = {text.get_position(): text.get_text() for text in plain.texts}
    assert shown == {
        (0, 0): "5/20",
        (1, 0): "16/20",
        (2, 0): "0/20",
        (1, 1): "20/20",
        (2, 1): "0/20",
    }
    assert (plain.get_xlabel(), plain.get_ylabel()) == ("MLP", "CNN")
    assert [text.get_text() for text in other.texts] == ["7/10"]
    assert other.get_title("right") == "critic_blank"


def test_the_curves_of_groups_with_a_success() -> None:
    found = counted()
    lines = {line.get_label(): line for line in draw(found).axes[-1].get_lines()}
    assert list(lines) == [
        "CNN blank, MLP blank (5/20)",
        "CNN blank, MLP good (16/20)",
        "CNN good, MLP good (20/20)",
        "scratch (3/8)",
        "CNN good, MLP good, critic_blank (7/10)",
    ]
    expected = found["curve"].sel(group="blank-good").values
    np.testing.assert_array_equal(lines["CNN blank, MLP good (16/20)"].get_ydata(), expected)


def test_no_two_curves_look_alike() -> None:
    lines = draw(counted()).axes[-1].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines)


def test_groups_by_another_setting_are_no_cells() -> None:
    by_rate = counted().isel(group=[0, 1]).assign_coords(group=["1e-05", "0.0001"])
    (curves,) = draw(by_rate.assign_attrs(by="learning_rate")).axes
    labels = [line.get_label() for line in curves.get_lines()]
    assert labels == ["1e-05 (5/20)", "0.0001 (16/20)"]


def test_runs_from_scratch_have_curves_and_no_grid() -> None:
    (curves,) = draw(counted().sel(group=["scratch"])).axes
    assert [line.get_label() for line in curves.get_lines()] == ["scratch (3/8)"]
    assert curves.get_title("left") == "mean return of the successful runs"


def test_the_threshold_and_the_intervals_are_said() -> None:
    ends = np.array([[0.25, 0.1, 0.5]] * len(CELLS))
    found = counted().assign(success=(("group", "bound"), ends))
    found = found.assign_coords(bound=["estimate", "low", "high"], run=["a", "b"])
    runs = {"a": {"good_return": 900.0}, "b": {"good_return": 900.0}}
    told = draw(found.assign_attrs(configs=json.dumps(runs))).axes[0]
    assert told.get_title("left") == "(a) successful runs, 95% interval\n(return of 900 or more)"
    assert "10 to 50%" in [text.get_text() for text in told.texts]
    asked = found.assign_attrs(configs=json.dumps(runs), arguments='{"good": 150.0}')
    assert "return of 150 or more" in draw(asked).axes[0].get_title("left")
    runs["b"]["good_return"] = 300.0
    unlike = draw(found.assign_attrs(configs=json.dumps(runs))).axes[0]
    assert unlike.get_title("left") == "(a) successful runs, 95% interval"
    assert draw(found).axes[0].get_title("left") == "(a) successful runs, 95% interval"
