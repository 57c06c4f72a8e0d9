"""Switches of metrics planted at, before and after the escape."""

import numpy as np
import pytest
import xarray as xr

from vrlprobe.analyses._escape import escape
from vrlprobe.errors import SampleError

FRAMES = np.arange(10) * 1000
C, H = "collapsed", "healthy"
OUT, STUCK = ["", C, C, C, H, H, H, H, H, H], ["", *[C] * 9]
TWICE = ["", H, H, C, C, C, H, H, H, H]


def measured(rank, norm, phases=(OUT, STUCK)) -> xr.Dataset:
    dims = ("run", "frame", "layer")
    begins = [[FRAMES[words.index(word)] if word else -1 for word in words] for words in phases]
    for row, words in zip(begins, phases, strict=True):
        if words is TWICE:
            row[6:] = [6000] * 4
    return xr.Dataset(
        {
            "numerical_rank": (dims, np.array(rank, float)[:, :, None]),
            "grad_norm": (dims, np.array(norm, float)[:, :, None]),
            "episode_return": (("run", "frame"), np.ones((len(phases), 10))),
            "stage": (("run", "frame"), np.array(phases, object)),
            "stage_begin": (("run", "frame"), np.array(begins)),
        },
        {"run": [f"seed{n}" for n in range(len(phases))], "frame": FRAMES, "layer": ["mlp1"]},
        {"samples": "abc"},
    )


def test_a_switch_at_the_escape_and_one_before() -> None:
    rank = [[9, 1, 1, 1, 5, 5, 6, 6, 7, 7], [9, *[1.5] * 9]]
    norm = [[9, 1e-6, 1e-6, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2, 1e-2], [9, *[1e-7] * 9]]
    found = escape(measured(rank, norm))
    assert found["run"].values.tolist() == ["seed0"]
    assert found["escape"].values.tolist() == [4000]
    assert found["metric"].values.tolist() == ["numerical_rank[mlp1]", "grad_norm[mlp1]"]
    assert found["lag"].sel(run="seed0").values.tolist() == [0, -1000]
    rank_at = found.sel(metric="numerical_rank[mlp1]")
    assert rank_at["separation"].item() == 0.0
    assert rank_at["threshold"].item() == pytest.approx(np.sqrt(1.5 * 5))
    assert not rank_at["collapsed_above"].item()
    # one of twelve collapsed checkpoints ties with all six healthy ones
    assert found["separation"].sel(metric="grad_norm[mlp1]").item() == pytest.approx(0.5 / 12)
    assert (found.attrs["n_collapsed"], found.attrs["n_healthy"]) == (12, 6)
    assert found.attrs["interval"] == 1000
    assert found.attrs["samples"] == "abc"


def test_a_single_reading_is_no_switch_and_never_is_nan() -> None:
    rank = [[9, 1, 5, 1, 1, 1, 5, 5, 5, 5], [9, *[1.5] * 9]]
    norm = [[9, *[1e-6] * 9], [9, *[1e-6] * 9]]
    found = escape(measured(rank, norm))
    assert found["lag"].sel(metric="numerical_rank[mlp1]").item() == 2000
    assert np.isnan(found["lag"].sel(metric="grad_norm[mlp1]").item())
    assert np.isnan(found["threshold"].sel(metric="grad_norm[mlp1]").item())


def test_a_relapse_counts_from_its_own_beginning() -> None:
    rank = [[9, 5, 5, 1, 1, 1, 1, 5, 5, 5], [9, *[1.5] * 9]]
    found = escape(measured(rank, rank, (TWICE, STUCK)))
    assert found["escape"].item() == 6000
    assert found["lag"].sel(metric="numerical_rank[mlp1]").item() == 1000


def test_measurements_that_are_missing_are_passed_over() -> None:
    rank = [[9, 1, 1, 1, np.nan, 5, 6, 6, 7, 7], [9, *[1.5] * 9]]
    found = escape(measured(rank, np.full((2, 10), np.nan)))
    assert found["metric"].values.tolist() == ["numerical_rank[mlp1]"]
    assert found["lag"].item() == 1000


def test_another_run_evaluated_at_other_frames_changes_no_lag() -> None:
    rank = [[9, 1, 1, 5, 5, 5, 6, 6, 7, 7], [9, *[1.5] * 9]]
    alone = measured(rank, rank)
    other = alone.isel(run=[1]).assign_coords(frame=FRAMES + 500, run=["seed9"])
    fill = {
        "stage": "",
        "stage_begin": -1,
        "numerical_rank": np.nan,
        "grad_norm": np.nan,
        "episode_return": np.nan,
    }
    both = xr.concat([alone, other], "run", join="outer", fill_value=fill).sortby("frame")
    assert both.sizes["frame"] == 20
    found = escape(both)
    assert found["lag"].values.tolist() == escape(alone)["lag"].values.tolist() == [[-1000]] * 2
    assert found.attrs["interval"] == 1000


def test_a_reset_is_no_escape() -> None:
    values = [[9, 1, 1, 1, 5, 5, 6, 6, 7, 7], [9, *[1.5] * 9]]
    reset = measured(values, values)
    reset["attempt"] = (("run", "frame"), np.array([[1] * 4 + [2] * 6, [1] * 10]))
    with pytest.raises(SampleError, match="none of these runs comes out"):
        escape(reset)


def test_an_escape_that_was_not_measured_is_refused() -> None:
    rank = [[9, 1, 1, 1, 5, 5, 6, 6, 7, 7], [9, *[1.5] * 9]]
    whole = measured(rank, rank)
    assert escape(whole.sel(frame=[0, 2000, 4000, 9000]))["escape"].item() == 4000
    with pytest.raises(SampleError, match=r"came out .* at 4,000 frames, which was not measured"):
        escape(whole.sel(frame=[0, 2000, 9000]))
    with pytest.raises(SampleError, match="own rollout"):
        escape(whole.assign_attrs(samples="own"))


def test_runs_of_which_none_comes_out() -> None:
    values = np.ones((2, 10))
    with pytest.raises(SampleError, match="none of these runs comes out"):
        escape(measured(values, values, (STUCK, ["", *[H] * 9])))
