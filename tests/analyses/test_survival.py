"""Waiting or starting again, from logs: what counts as an attempt, what is refused."""

import numpy as np
import pytest

from tests.analyses.logs import ESCAPES, FRAMES, LATE, STUCK, WHOLE, log_of
from vrlprobe.analyses import survival
from vrlprobe.errors import SampleError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.record import make_record


@pytest.fixture
def opened(make_run):
    """Open runs by their logs, one seed each."""
    found = []

    def open_logs(*logs, **config):
        for log in logs:
            count = len(log["updates"])
            path = make_run(
                f"seed{len(found)}.h5", seed=len(found), frames=FRAMES[:count], episodes=3,
                config={**WHOLE, **config}, log=log,
            )  # fmt: skip
            found.append(open_run(path))
        return found

    yield open_logs
    for run in found:
        run.close()


def cut(log, count):
    return {name: column[:count] for name, column in log.items()}


def test_attempts_count_until_they_are_out_or_last_seen(opened) -> None:
    reset = log_of([1e-5] * 8 + [0.5] * 4, [1] * 6 + [2] * 6)
    runs = opened(log_of(STUCK), log_of(ESCAPES), log_of(LATE), reset)
    found = survival(runs)
    assert found["run"].values.tolist() == ["seed0", "seed1", "seed2", "seed3", "seed3"]
    assert found["number"].values.tolist() == [1, 1, 1, 1, 2]
    assert found["duration"].values.tolist() == [11_000, 5000, 9000, 5000, 3000]
    assert found["out"].values.tolist() == [False, True, True, False, True]
    assert found["frame"].values.tolist() == [3000, 5000, 8000, 9000, 11_000]  # 8,000: the window
    assert found["at_risk"].values.tolist() == [5, 4, 2, 2, 1]
    share = found["in_collapse"].sel(bound="estimate")
    np.testing.assert_allclose(share, [0.8, 0.6, 0.6, 0.3, 0.3])
    cost = found["frames_per_escape"].sel(bound="estimate", frame=[3000, 5000, 8000])
    np.testing.assert_allclose(cost, [15_000, 4600 / 0.4, 6400 / 0.4])
    assert found["cutoff"].sel(bound="estimate") == 9000  # 7,000 / 0.7
    assert found.sizes["waiting"] == 0


def test_one_never_in_collapse_is_out_at_its_first_reading(opened) -> None:
    found = survival(opened(log_of([0.06] + [0.5] * 11), log_of(STUCK)))
    assert found["duration"].values.tolist() == [1000, 11_000]
    assert found["out"].values.tolist() == [True, False]


def test_what_a_run_in_collapse_may_expect(opened) -> None:
    whole = [log_of([1e-5] * at + [0.5] * (12 - at)) for at in (3, 3, 8, 10)]
    waiting, other = cut(log_of(STUCK), 6), cut(log_of(ESCAPES), 8)  # at 5,000 and 7,000 frames
    found = survival(opened(*whole, waiting, other)).sel(waiting="seed4")
    assert found["waited"].item() == 5000
    assert found["left"].item() == 6000
    assert found["longer"].item() == 2
    middle = found.sel(bound="estimate")
    assert middle["out_waiting"].item() == pytest.approx(1)  # at 8,000 and 10,000
    assert middle["frames_waiting"].item() == pytest.approx((3000 + 1000) / 2)
    share = np.array([4 / 6, 4 / 6 * 3 / 4])  # from 3,000 and from 5,000 on
    assert middle["out_again"].item() == pytest.approx(1 - share[1])
    expected = (1 - share[0]) * 2000 + (1 - share[1]) * 1000
    assert middle["frames_again"].item() == pytest.approx(expected)
    assert 0 < found["again_better"].item() < 0.5
    assert 0.5 < found["waiting_better"].item() <= 1 - found["again_better"].item()


def test_where_neither_gains_neither_is_better(opened) -> None:
    """Out at 3,000 or never: with 2,000 frames left nothing is gained either way."""
    early = [1e-5] * 3 + [0.5] * 9
    found = survival(opened(*[log_of(early)] * 3, *[log_of(STUCK)] * 2, cut(log_of(STUCK), 10)))
    assert found["left"].item() == 2000
    middle = found.sel(bound="estimate", waiting="seed5")
    assert middle["frames_waiting"].item() == middle["frames_again"].item() == 0
    assert found["again_better"].item() == found["waiting_better"].item() == 0


def test_a_run_that_has_begun_another_attempt_waits_no_more(opened) -> None:
    log = cut(log_of([1e-5] * 12, [1] * 6 + [2] * 6), 7)
    log["updates"][-1] = 0
    found = survival(opened(log_of(ESCAPES), log_of(LATE), log))
    assert found["number"].values.tolist() == [1, 1, 1]
    assert found.sizes["waiting"] == 0


def test_one_that_collapses_after_its_start_is_in_collapse(opened) -> None:
    late = [0.5] * 4 + [1e-5] * 8
    back = [0.5] * 4 + [1e-5] * 4 + [0.5] * 4
    now = cut(log_of(late), 7)
    young = cut(log_of([0.5] * 12), 2)  # one measurement, which no phase is made of
    found = survival(opened(log_of(late), log_of(back), now, young))
    assert found["out"].values.tolist() == [False, True, False, False]
    assert found["duration"].values.tolist() == [11_000, 8000, 6000, 1000]
    assert found["waiting"].values.tolist() == ["seed2"]


def test_draws_in_which_none_comes_out_have_no_cutoff(opened) -> None:
    found = survival(opened(*[log_of(STUCK)] * 4, cut(log_of(STUCK), 4), log_of(LATE)))
    assert found["out"].values.tolist() == [False] * 5 + [True]
    assert found["frame"].values.tolist()[0] == 3000  # where no draw has one that is out
    assert found["cutoff"].values.tolist() == [9000, 9000, 9000]


def test_frames_are_left_until_the_last_evaluation(opened) -> None:
    runs = opened(log_of(ESCAPES), cut(log_of(STUCK), 11), total_frames=12_000)
    assert survival(runs)["left"].item() == 1000  # the last is at 11,000


def test_few_runs_give_no_intervals(opened) -> None:
    runs = opened(log_of(ESCAPES), log_of(LATE), cut(log_of(STUCK), 5))
    found = survival(runs)
    for name in ("cutoff", "frames_per_escape", "out_again", "frames_waiting"):
        assert found[name].sel(bound="estimate").notnull().all()
        assert found[name].sel(bound=["low", "high"]).isnull().all()
    assert found[["again_better", "waiting_better"]].isnull().all().to_array().all()
    assert found["in_collapse"].sel(bound="low").notnull().any()


def test_where_no_one_waited_as_long_waiting_is_unknown(opened) -> None:
    found = survival(opened(log_of(ESCAPES), log_of(ESCAPES), cut(log_of(STUCK), 9)))
    middle = found.sel(bound="estimate", waiting="seed2")
    assert np.isnan([middle["out_waiting"], middle["frames_waiting"]]).all()
    assert np.isnan(found["again_better"].item())
    assert middle["out_again"].item() == 0  # 3,000 frames are too few


def test_records_give_what_runs_give(opened) -> None:
    runs = opened(log_of(STUCK), log_of(ESCAPES), log_of(LATE))
    records = [make_record(run) for run in runs]
    names = ["duration", "in_collapse", "frames_per_escape", "cutoff"]
    assert survival(runs)[names].equals(survival(records)[names])


def test_what_teaches_nothing_is_refused(opened) -> None:
    with pytest.raises(SampleError, match="0 of 2 attempts with measurements are out"):
        survival(opened(log_of(STUCK), log_of(STUCK)))
    (run, *_) = opened(log_of(ESCAPES))[2:]
    with pytest.raises(SampleError, match="1 of 1 attempts"):
        survival([run])
    with pytest.raises(SampleError, match="share their task"):
        survival(opened(log_of(ESCAPES), task="cartpole_swingup"))
