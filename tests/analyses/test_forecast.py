"""Runs' ends foretold from their logs: what is read, what is left out, what is refused."""

import contextlib

import numpy as np
import pytest
import xarray as xr

from tests.analyses.logs import ESCAPES, FRAMES, STUCK, WHOLE, N, log_of
from tests.figures.probed import probed
from tests.figures.test_metrics import measured as measured_table
from vrlprobe.analyses import forecast, metrics
from vrlprobe.analyses._forecast import BLIND
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import make_record
from vrlprobe.samples.make import make_samples
from vrlprobe.stats.threshold import separation

LOSS = [3.0, 1.0, 2.0, 2.5, 5.0, 4.0, 0.5, 6.0]


def table() -> xr.Dataset:
    return measured_table().assign_attrs(vrlprobe="metrics")


@pytest.fixture
def runs(make_run):
    """Four runs that stay stuck, and four that come out at 5,000 frames."""
    opened = []
    for seed, loss in enumerate(LOSS):
        spread = STUCK if seed < 4 else ESCAPES
        path = make_run(
            f"seed{seed}.h5",
            seed=seed,
            frames=FRAMES,
            episodes=3,
            config=WHOLE,
            log={**log_of(spread), "critic_loss": [loss] * N, "frames_per_second": [50.0] * N},
        )
        opened.append(open_run(path))
    yield opened
    for run in opened:
        run.close()


def test_what_comes_out_is_told_once_it_is_out(runs) -> None:
    found = forecast(runs)
    spread = found.sel(metric="action_spread")
    assert found["ends_badly"].values.tolist() == [True] * 4 + [False] * 4
    assert found["frame"].values.tolist() == list(FRAMES[1:])
    np.testing.assert_array_equal(spread["accuracy"].sel(frame=slice(5000, None)), 1.0)
    np.testing.assert_array_equal(spread["accuracy"].sel(frame=slice(None, 4000)), 0.5)
    assert (spread["p"].sel(frame=[4000, 6000]) <= [1, 0.05]).all()
    assert spread["p"].sel(frame=4000) == 1
    at = spread.sel(frame=6000)
    assert (at["found"].item(), at["false"].item(), at["n_runs"].item()) == (4, 0, 8)
    assert not at["bad_above"].item()
    assert at["threshold"].item() == pytest.approx(np.sqrt(1e-5 * 0.5))
    assert at["separation"].item() == 0.0
    assert at["saved"].item() == pytest.approx(4 * (11_000 - 6000) / (8 * 11_000))


def test_a_metric_that_tells_little_has_its_own_figures(runs) -> None:
    found = forecast(runs).sel(metric="critic_loss")
    expected = separation(LOSS, [True] * 4 + [False] * 4)
    np.testing.assert_allclose(found["separation"], expected)


def test_the_best_metric_is_chosen_by_the_others_and_clocks_are_no_metrics(runs) -> None:
    found = forecast(runs)
    names = found["metric"].values.tolist()
    assert names[-1] == BLIND
    assert "frames_per_second" not in names
    assert "updates" not in names
    blind = found.sel(metric=BLIND)
    np.testing.assert_array_equal(blind["accuracy"].sel(frame=slice(5000, None)), 1.0)
    assert np.isnan(blind["threshold"]).all()


def test_records_give_what_runs_give(runs) -> None:
    records = [make_record(run) for run in runs]
    xr.testing.assert_equal(forecast(records), forecast(runs))


def test_other_ends(runs, make_run) -> None:
    rich = [
        make_run(f"rich{n}.h5", seed=20 + n, frames=FRAMES, reward=5.0, episodes=3,
                 config=WHOLE, log=log_of(ESCAPES))
        for n in range(4)
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(open_run(path)) for path in rich]
        found = forecast([*runs, *others], outcome="not good", good=100.0, bad=5.0)
    assert found["ends_badly"].values.tolist() == [True] * 8 + [False] * 4
    assert found.attrs["outcome"] == "not good"
    with pytest.raises(SampleError, match="0 of 8 runs end bad: at least 4 of either end"):
        forecast(runs, outcome="bad")


def test_a_run_that_ends_early_is_left_out_where_it_has_no_reading(runs, make_run) -> None:
    config = {**WHOLE, "total_frames": 8001}
    log = {name: column[:9] for name, column in log_of(ESCAPES).items()}
    path = make_run("short.h5", seed=41, frames=FRAMES[:9], episodes=3, config=config, log=log)
    with open_run(path) as short:
        found = forecast([*runs, short]).sel(metric="action_spread")
    assert found["n_runs"].sel(frame=8000).item() == 9
    assert found["n_runs"].sel(frame=9000).item() == 8
    whole = 8 * 11_000 + 8000
    np.testing.assert_allclose(
        found["saved"].sel(frame=[8000, 9000]), [4 * 3000 / whole, 4 * 2000 / whole]
    )


def test_metrics_of_the_same_runs_are_tried_too(runs) -> None:
    samples = make_samples(runs[-1:])
    measured = metrics(runs, samples, n_samples=20)
    found = forecast(runs, measured)
    rank = found.sel(metric="numerical_rank[mlp1]", frame=4000)
    values = measured["numerical_rank"].sel(layer="mlp1", frame=4000).values
    assert rank["separation"].item() == separation(values, [True] * 4 + [False] * 4)
    assert "grad_norm[mlp1]" in found["metric"].values
    assert found["frame"].values.tolist() == list(FRAMES[1:])
    renamed = measured.assign_coords(run=[f"record{n}" for n in range(8)]).isel(
        run=slice(None, None, -1)
    )
    assert forecast(runs, renamed).equals(found)
    changed = measured.copy(deep=True)
    changed["checkpoint"].loc["seed2", 11_000] = "another"
    with pytest.raises(SampleError, match="seed2 is not among the runs"):
        forecast(runs, changed)
    with pytest.raises(SampleError, match="seed0 is not among the runs"):
        forecast(runs, measured.isel(run=slice(1, None)))


@pytest.mark.parametrize(
    ("measured", "needed"),
    [
        (probed(), "a result of metrics is needed, not one of probe"),
        (table().sel(layer="mlp1"), r"select it as a list, layer=\['mlp1'\]"),
        (table().drop_vars("checkpoint"), "lacks checkpoint: a whole result of metrics"),
        ("metrics.nc", "a result of metrics is needed, not str"),
    ],
)
def test_something_else_than_metrics_is_told(runs, measured, needed: str) -> None:
    with pytest.raises(FormatError, match=needed):
        forecast(runs, measured)


def test_runs_with_resets_are_refused(runs, make_run) -> None:
    log = log_of(STUCK, [1] * 9 + [2] * 3)
    path = make_run("reset.h5", seed=40, frames=FRAMES, episodes=3, config=WHOLE, log=log)
    with open_run(path) as reset, pytest.raises(SampleError, match=r"reset\.h5 was reset"):
        forecast([*runs, reset])


def test_what_teaches_nothing_is_refused_or_left_out(runs, make_run) -> None:
    def another(name, frames=FRAMES, log=None, **config):
        log = {key: column[: len(frames)] for key, column in (log or log_of(STUCK)).items()}
        settings = {**WHOLE, **config}
        return open_run(
            make_run(name, seed=30, frames=frames, episodes=3, config=settings, log=log)
        )

    with (
        another("half.h5", FRAMES[:6]) as half,
        pytest.raises(SampleError, match=r"half\.h5 is not"),
    ):
        forecast([*runs, half])
    with (
        another("finger.h5", task="finger_spin") as other,
        pytest.raises(SampleError, match=r"their task: seed0\.h5 has walker_walk, finger"),
    ):
        forecast([*runs, other])
    moving = {**log_of(STUCK), "grad_norm": [[0.5, 0.5, 0.5]] * N}
    with another("moving.h5", log=moving) as undecided:
        with pytest.warns(UserWarning, match="left out, undecided on being stuck: moving"):
            found = forecast([*runs, undecided])
        assert found.sizes["run"] == 8


def test_an_end_by_return_needs_no_window(make_run) -> None:
    config = {"total_frames": 11_001, "eval_every_frames": 1000}
    paths = [
        make_run(f"{n}.h5", seed=n, frames=FRAMES, reward=1.0 + 4 * (n > 3), episodes=1,
                 config=config, log=log_of(ESCAPES))
        for n in range(8)
    ]  # fmt: skip
    opened = [open_run(path) for path in paths]
    found = forecast(opened, outcome="not good", good=100.0, bad=5.0)
    assert found["verdict"].values.tolist() == [""] * 8
    with pytest.raises(SampleError, match="`window`"):
        forecast(opened)
    for run in opened:
        run.close()


def test_without_measurements_there_is_nothing_to_tell_from(make_run) -> None:
    log = {**log_of(STUCK), "updates": [0] * N}
    paths = [
        make_run(f"{n}.h5", seed=n, frames=FRAMES, reward=1.0 + 4 * (n > 3), episodes=1,
                 config=WHOLE, log=log)
        for n in range(8)
    ]  # fmt: skip
    opened = [open_run(path) for path in paths]
    with pytest.raises(SampleError, match="no measurements after the first update"):
        forecast(opened, outcome="not good", good=100.0, bad=5.0)
    for run in opened:
        run.close()


def test_an_outcome_that_is_none_is_refused(opened) -> None:
    with pytest.raises(ValueError, match="outcomes are stuck, not good, bad, not 'good'"):
        forecast([opened("a.h5")], outcome="good")  # type: ignore[arg-type]
