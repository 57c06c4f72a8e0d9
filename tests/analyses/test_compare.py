"""Cohorts side by side: which runs, frames and measures are compared, and how."""

import itertools
import json

import numpy as np
import pytest
import xarray as xr

from vrlprobe.analyses import compare
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.stats.comparison import mean_difference, mean_p, share_difference, share_p

FRAMES = [0, 1000, 2000, 3000]
OUT = [0.0, 1000.0, 2500.0, np.inf]


def cohort(seeds, final, out=None, task="walker_walk", frames=FRAMES) -> xr.Dataset:
    """Runs whose return rises evenly to `final`."""
    runs = [f"seed{seed}" for seed in seeds]
    returns = np.outer(final, np.linspace(0, 1, len(frames)))
    return xr.Dataset(
        {
            "task": ("run", np.array([task] * len(runs), object)),
            "seed": ("run", list(seeds)),
            "out": ("run", np.resize(OUT, len(runs)) if out is None else out),
            "episode_return": (("run", "frame"), returns),
        },
        {"run": runs, "frame": frames},
        {
            "configs": json.dumps({run: {"good_return": 250.0} for run in runs}),
            "vrlprobe": "cohort",
        },
    )


BASE = cohort(range(8), [100, 200, 260, 300, 400, 90, 80, 270])
FINAL = np.array([150, 255, 270, 280, 500, 95, 85, 240.0])


def test_the_same_seeds_are_pairs_in_whatever_order() -> None:
    order = [3, 1, 7, 0, 2, 6, 4, 5]
    other = cohort(order, FINAL[order], np.zeros(8))
    found = compare({"plain": BASE, "new": other}).squeeze(["task", "cohort"])
    assert found["paired"].item()
    assert found["frame"].item() == 3000
    final = BASE["episode_return"].values[:, -1]
    row = found.sel(measure="return")
    expected = mean_difference(final, FINAL, paired=True)
    np.testing.assert_allclose(row["difference"], expected)
    assert row["p"].item() == mean_p(final, FINAL, paired=True)
    np.testing.assert_allclose([row["base"][0], row["other"][0]], [final.mean(), FINAL.mean()])
    row = found.sel(measure="good")
    goods = final >= 250, FINAL >= 250
    np.testing.assert_allclose(row["difference"], share_difference(*goods, paired=True))
    assert row["p"].item() == share_p(*goods, paired=True)


def by_hand(curve, frames, threshold):
    """Frames until a curve is over the threshold, at most the last one."""
    over = [frame for frame, value in zip(frames, curve, strict=True) if value >= threshold]
    return over[0] if over else frames[-1]


def test_frames_to_a_threshold_are_restricted_to_the_frame_and_tested_by_permutation() -> None:
    other = cohort(range(8), FINAL)
    found = compare({"plain": BASE, "new": other}, threshold=150).squeeze(["task", "cohort"])
    curves = [one["episode_return"].values for one in (BASE, other)]
    needed = [np.array([by_hand(curve, FRAMES, 150) for curve in part]) for part in curves]
    row = found.sel(measure="threshold_frames")
    assert row["base"][0].item() == needed[0].mean()
    assert row["other"][0].item() == needed[1].mean()
    moved = needed[1] - needed[0]
    ways = np.array(list(itertools.product([1, -1], repeat=8))) @ moved
    assert row["p"].item() == (np.abs(ways) >= abs(moved.sum())).mean()
    assert found["threshold"].item() == 150
    # of the eight of the first, 260, 300, 400 and 270 are over 150 at 2,000, and 200 at 3,000
    assert found["base_median_frames"][0].item() == 2000
    area = found.sel(measure="area_under_curve", bound="estimate")
    final = BASE["episode_return"].values[:, -1]
    assert area["base"].item() == pytest.approx(final.mean() / 2)  # of straight lines from 0


def test_the_chance_of_improvement_and_the_interquartile_mean() -> None:
    found = compare({"plain": BASE, "new": cohort(range(8), FINAL)}).squeeze(["task", "cohort"])
    final = BASE["episode_return"].values[:, -1]
    wins = np.mean([(y > x) + 0.5 * (y == x) for x in final for y in FINAL])
    assert found["improvement"][0].item() == pytest.approx(wins)
    row = found.sel(measure="interquartile_return", bound="estimate")
    middle = [np.sort(values)[2:6].mean() for values in (final, FINAL)]
    np.testing.assert_allclose([row["base"], row["other"]], middle)
    assert row["difference"].item() == pytest.approx(middle[1] - middle[0])


def test_other_seeds_are_independent_runs() -> None:
    other = cohort(range(6, 11), FINAL[:5])
    found = compare({"plain": BASE, "new": other}).squeeze(["task", "cohort"])
    assert not found["paired"].item()
    assert (found["n_base"].item(), found["n_other"].item()) == (8, 5)
    final = BASE["episode_return"].values[:, -1]
    row = found.sel(measure="return")
    np.testing.assert_allclose(row["difference"], mean_difference(final, FINAL[:5], paired=False))
    assert row["p"].item() == mean_p(final, FINAL[:5], paired=False)


@pytest.mark.parametrize(
    ("frame", "collapsed", "frames"),
    [(1000, 0.5, 750), (2000, 0.5, (0 + 1000 + 2000 + 2000) / 4), (3000, 0.25, 6500 / 4)],
)
def test_time_in_collapse_is_counted_to_the_frame(frame, collapsed, frames) -> None:
    """Two of four runs are out at 1,000: one there from the start, one at that frame."""
    found = compare({"plain": BASE, "new": BASE}, frame=frame).squeeze(["task", "cohort"])
    assert found["frame"].item() == frame
    assert found["base"].sel(measure="in_collapse", bound="estimate").item() == collapsed
    assert found["base"].sel(measure="collapse_frames", bound="estimate").item() == frames
    assert (found["p"].dropna("measure") == 1).all()
    assert (found["difference"].sel(bound="estimate") == 0).all()


def test_returns_are_averaged_over_the_last_evaluations_that_all_have() -> None:
    other = cohort(range(10, 18), FINAL, frames=[0, 1000, 2000])
    found = compare({"plain": BASE, "new": other}, evaluations=2).squeeze(["task", "cohort"])
    assert found["frame"].item() == 2000
    np.testing.assert_allclose(
        found["other"].sel(measure="return", bound="estimate"), FINAL.mean() * (0.5 + 1) / 2
    )


def test_runs_without_measurements_have_no_time_in_collapse() -> None:
    other = cohort(range(8), FINAL, [np.nan] + [0.0] * 7)
    found = compare({"plain": BASE, "new": other}).squeeze(["task", "cohort"])
    unknown = found["measure"].values[found["p"].isnull()].tolist()
    assert unknown == ["in_collapse", "collapse_frames"]
    assert found["base"].sel(measure="interquartile_return").notnull().all()


def test_tasks_are_compared_one_by_one() -> None:
    hopper = cohort(range(8), FINAL, task="hopper_stand")
    both = xr.concat(
        [BASE, hopper.assign_coords(run=[f"hopper{i}" for i in range(8)])],
        "run",
        combine_attrs="override",
    )
    found = compare({"plain": both, "new": cohort(range(8), FINAL), "else": hopper}, good=100)
    assert found["task"].values.tolist() == ["hopper_stand", "walker_walk"]
    assert found["frame"].values.tolist() == [[-1, 3000], [3000, -1]]


def test_a_run_is_known_again_by_its_checkpoint_and_in_a_record() -> None:
    other = cohort([3, 9], FINAL[[3, 4]])
    digests = [f"d{seed}" for seed in range(8)]
    known = BASE.assign(last_checkpoint=("run", np.array(digests, object)))
    again = other.assign(last_checkpoint=("run", np.array(["d3", "d9"], object)))
    compare({"plain": known, "new": other})  # an older result without digests, other returns
    with pytest.raises(SampleError, match="seed 3 is the same run"):
        compare({"plain": known, "new": again})
    rounded = BASE.isel(run=[3, 4])
    rounded["episode_return"] = rounded["episode_return"] * (1 + 4e-7)  # six digits of a record
    with pytest.raises(SampleError, match="seed 3 is the same run"):
        compare({"plain": BASE, "new": rounded})
    flat = cohort([3, 9], [0.0, 0.0])
    compare({"plain": cohort(range(8), np.zeros(8)), "new": flat})  # no return is no likeness


def test_one_return_is_good_for_both() -> None:
    configs = json.dumps({f"seed{seed}": {"good_return": 150.0} for seed in range(8)})
    lower = cohort(range(8), FINAL).assign_attrs(configs=configs)
    told = r"plain and new are good from different returns on \(150, 250\): give one"
    with pytest.raises(SampleError, match=told):
        compare({"plain": BASE, "new": lower})
    found = compare({"plain": BASE, "new": lower}, good=150).sel(measure="good", bound="estimate")
    assert found["base"].item() == 5 / 8
    assert found["other"].item() == 6 / 8


def test_what_cannot_be_compared() -> None:
    with pytest.raises(SampleError, match="two cohorts"):
        compare({"plain": BASE})
    with pytest.raises(SampleError, match="no task in common with new"):
        compare({"plain": BASE, "new": cohort([1], [2], task="hopper_stand")})
    with pytest.raises(SampleError, match="seed 3 is the same run in plain and new"):
        compare({"plain": BASE, "new": BASE.isel(run=[3])})
    with pytest.raises(SampleError, match="at frame 1400: the nearest that all have is 1000"):
        compare({"plain": BASE, "new": cohort(range(8), FINAL)}, frame=1400)
    with pytest.raises(ValueError, match="evaluations must be at least 1, not 0"):
        compare({"plain": BASE, "new": cohort(range(8), FINAL)}, evaluations=0)
    other = BASE.assign_attrs(vrlprobe="film")
    with pytest.raises(FormatError, match="a result of cohort is needed, not one of film"):
        compare({"plain": BASE, "new": other})
    with pytest.raises(SampleError, match="5 evaluations are asked for, up to the frame are 4"):
        compare({"plain": BASE, "new": cohort(range(8), FINAL)}, evaluations=5)
    with pytest.raises(SampleError, match="share no evaluated frame"):
        compare({"plain": BASE, "new": cohort(range(8), FINAL, frames=[1, 2])})
