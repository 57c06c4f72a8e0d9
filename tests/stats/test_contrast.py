"""Layers of two groups of runs: planted differences, counting by hand, published sample sizes."""

import numpy as np
import pytest
from scipy import stats

from vrlprobe.stats.contrast import contrasts, correlations, gaps, runs_needed

GOOD = np.array([[5.0, 0, 1], [5, 1, 1], [5, 2, 4]])
BAD = np.array([[5.0, 4, 3], [5, 5, 8]])


def test_gaps_are_counted_by_hand() -> None:
    """Layer 1: the two largest of five are the bad ones, 1 division of 10 is as far as that.

    Layer 2, of 1, 1, 4, 3, 8 with mean 3.4: the pair 3, 8 is 4.2 above twice the mean, 1, 1 is 4.8
    below, and 4, 8 is 5.2 above: 3 of 10.
    """
    found = gaps(GOOD, BAD)
    np.testing.assert_allclose(found.value[1:, 0], [3.5, 3.5])
    np.testing.assert_allclose(found.p[1:], [0.1, 0.3])
    np.testing.assert_allclose(found.p_holm[1:], [0.2, 0.3])
    assert np.isnan([found.value[0, 0], found.p[0], found.p_holm[0]]).all()  # alike in all runs


def test_a_contrast_is_the_difference_of_gaps_within_runs() -> None:
    found = contrasts(GOOD, BAD, reference=1)
    within = [side[:, 2] - side[:, 1] for side in (GOOD, BAD)]
    assert found.value[2, 0] == pytest.approx(within[1].mean() - within[0].mean())
    expected = stats.permutation_test(
        within, lambda a, b: abs(b.mean() - a.mean()), n_resamples=np.inf, alternative="greater"
    )
    assert found.p[2] == pytest.approx(expected.pvalue)
    assert found.p_holm[2] == found.p[2]  # the only one that is tested
    assert np.isnan(found.p[:2]).all()


def test_a_planted_contrast_is_found_and_no_other() -> None:
    """Bad runs are worse by 0.5 in the last layer only; runs differ by more than layers do."""
    rng = np.random.default_rng(0)
    level = rng.normal(0, 1, (20, 1))
    scores = level + rng.normal(0, 0.2, (20, 4))
    scores[12:, 3] += 0.5
    found = contrasts(scores[:12], scores[12:], reference=1)
    assert found.p_holm[3] < 0.01
    assert found.value[3, 1] < 0.5 < found.value[3, 2]
    assert (found.p_holm[[0, 2]] > 0.1).all()
    assert (gaps(scores[:12], scores[12:]).p_holm > 0.05).all()  # the runs' own level hides it


def test_correlations_are_over_all_runs() -> None:
    rng = np.random.default_rng(1)
    returns = rng.permutation(12).astype(float)
    scores = np.stack([-returns, np.ones(12), rng.normal(size=12)], axis=1)
    found = correlations(scores, returns)
    assert found.value[0, 0] == pytest.approx(-1)
    assert found.value[2, 0] == pytest.approx(stats.spearmanr(scores[:, 2], returns).statistic)
    assert np.isnan(found.value[1]).all()
    assert np.isnan(correlations(scores, np.ones(12)).p).all()


@pytest.mark.parametrize(
    ("effect", "level", "runs"), [(0.2, 0.05, 394), (0.5, 0.05, 64), (0.8, 0.05, 26), (1, 0.01, 26)]
)
def test_runs_needed_are_the_published_ones(effect, level, runs) -> None:
    """Cohen (1992), table 2: 393, 64, 26 for 80% power at 0.05, and G*Power's 394 and 26."""
    side = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    side /= side.std(ddof=1)
    assert runs_needed(side, side, effect, level) == runs
    assert runs_needed(side, 1 + side, -effect, level) == runs


def test_so_many_runs_have_the_power_in_a_simulation() -> None:
    """Of a permutation test, with spreads 1 and 2: about 80% find a gap of 2."""
    one, two = np.array([-1.0, 0, 1]), np.array([-2.0, 0, 2])
    runs = runs_needed(one, two, 2)
    rng = np.random.default_rng(0)
    found = [
        gaps(rng.normal(0, 1, (runs, 1)), rng.normal(2, 2, (runs, 1)), seed=seed).p[0] < 0.05
        for seed in range(300)
    ]
    assert 0.74 <= np.mean(found) <= 0.88


def test_runs_needed_by_the_smallest_p_and_what_cannot_be_planned() -> None:
    assert runs_needed([0, 1e-9], [0, 1e-9], 1) == 4  # 2 of 70 divisions; of three 2 of 20
    with pytest.raises(ValueError, match="two runs in each group"):
        runs_needed([1], [1, 2], 1)
    with pytest.raises(ValueError, match="gap must be a finite number other than 0, not 0"):
        runs_needed([1, 2], [1, 2], 0)
