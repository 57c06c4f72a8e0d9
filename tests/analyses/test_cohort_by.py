"""Runs grouped by a setting."""

import numpy as np
import pytest
from scipy.stats import binomtest

from vrlprobe.analyses import cohort
from vrlprobe.errors import SampleError
from vrlprobe.runs.reader import open_run
from vrlprobe.stats.bootstrap import wilson_interval

LOG = {"action_spread": [0.5] * 3, "grad_norm": [[0.1] * 3] * 3}
KINDS = (("good-bad", 0.1), ("good-bad", 1.0), ("", 1.0), ("good-bad", 0.05), ("", 0.9))


@pytest.fixture
def runs(make_run):
    opened = [
        open_run(
            make_run(
                f"r{n}.h5", seed=n, reward=reward, log=LOG,
                config={"init": init, "hidden_dim": 16 + 2 * (n > 2), "rule_window": 1000},
            )
        )
        for n, (init, reward) in enumerate(KINDS)
    ]  # fmt: skip
    yield opened
    for run in opened:
        run.close()


def test_counts_and_curves_by_init(runs):
    found = cohort(runs, by="init")
    assert found["group"].values.tolist() == ["good-bad", "scratch"]
    assert found["of_group"].values.tolist() == [init or "scratch" for init, _ in KINDS]
    assert found["runs"].values.tolist() == [3, 2]
    assert found["successes"].values.tolist() == [1, 2]
    interval = binomtest(1, 3).proportion_ci(method="wilson")
    wanted = [1 / 3, interval.low, interval.high]
    np.testing.assert_allclose(found["success"].sel(group="good-bad"), wanted)
    np.testing.assert_allclose(found["curve"].sel(group="scratch"), [38] * 3, rtol=1e-6)
    assert found["curve_runs"].sel(group="good-bad").values.tolist() == [1, 1, 1]
    np.testing.assert_allclose(found["mean_return"], [(4 + 40 + 2) / 3, 38], rtol=1e-6)


def test_a_group_without_success_has_no_curve(runs):
    found = cohort(runs, by="init", good=39.0)
    assert found["successes"].values.tolist() == [1, 1]
    none = cohort(runs[:1], by="init")
    assert none["successes"].item() == 0
    assert np.isnan(none["curve"]).all()


def test_any_setting_will_do_numbers_by_size(runs):
    found = cohort(runs, by="hidden_dim")
    assert found["group"].values.tolist() == ["16", "18"]
    with pytest.raises(
        SampleError, match=r"no setting 'hiden_dim': .* \(did you mean hidden_dim\?\)"
    ):
        cohort(runs, by="hiden_dim")


def test_wilsons_interval_has_a_closed_form():
    z, n, p = 1.959963984540054, 20, 0.15
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose(wilson_interval(3, 20), (middle - half, middle + half), rtol=1e-9)
    assert wilson_interval(0, 4)[0] == 0
    with pytest.raises(ValueError, match="no share"):
        wilson_interval(5, 4)
