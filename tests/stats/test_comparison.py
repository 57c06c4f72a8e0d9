"""Two cohorts compared, against published intervals, distributions by hand, and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from vrlprobe.stats.bootstrap import interquartile_mean
from vrlprobe.stats.comparison import (
    holm,
    improvement,
    mean_difference,
    mean_p,
    permutation_p,
    share_difference,
    share_p,
    signed_rank_p,
    statistic_p,
)


def of(good: int, runs: int) -> np.ndarray:
    return np.arange(runs) < good


@pytest.mark.parametrize("paired", [False, True])
def test_p_of_the_interquartile_mean_is_that_of_all_permutations(paired):
    rng = np.random.default_rng(3)
    base, other = rng.normal(0, 1, 6), rng.normal(0.8, 1, 6)
    expected = stats.permutation_test(
        (base, other),
        lambda one, two, axis: (
            interquartile_mean(np.moveaxis(two, axis, -1))
            - interquartile_mean(np.moveaxis(one, axis, -1))
        ),
        permutation_type="samples" if paired else "independent",
        n_resamples=np.inf,
        vectorized=True,
    )
    seen = abs(expected.statistic)
    two_sided = (np.abs(expected.null_distribution) >= seen - 1e-9).mean()
    found = statistic_p(base, other, paired, interquartile_mean)
    assert found == pytest.approx(two_sided)
    assert 0 < found < 1
    assert statistic_p(base, base, paired, interquartile_mean) == 1


def test_independent_shares_have_the_published_intervals() -> None:
    """Newcombe (1998a), table II, method 10."""
    for other, base, low, high in (
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ):
        found = share_difference(of(*base), of(*other), paired=False)
        np.testing.assert_allclose(found[1:], [low, high], atol=5e-5)
        assert found[0] == pytest.approx(other[0] / other[1] - base[0] / base[1])


@pytest.mark.parametrize("alike", [0.0, 0.7])
def test_paired_shares_are_covered_as_often_as_promised(alike: float) -> None:
    """Pairs of 20 runs that share a cause in a share `alike` of the cases, 30% against 50%."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        first = rng.random(20)
        second = np.where(rng.random(20) < alike, first, rng.random(20))
        _, low, high = share_difference(first < 0.3, second < 0.5, paired=True)
        inside += low <= 0.2 <= high
    assert 0.94 <= inside / 1000 <= 0.995


def test_what_pairs_have_in_common_narrows_the_interval() -> None:
    base, other = of(8, 20), of(9, 20)
    paired, apart = (share_difference(base, other, paired) for paired in (True, False))
    assert apart[1] < paired[1] < paired[0] < paired[2] < apart[2]
    rng = np.random.default_rng(0)
    values = rng.normal(200, 100, 20)
    moved = values + rng.normal(5, 1, 20)
    paired, apart = (mean_difference(values, moved, paired) for paired in (True, False))
    np.testing.assert_allclose(paired, 5, atol=1)
    assert apart[1] < -30
    assert np.isnan(mean_difference(values, values + 5, paired=True)[1:]).all()


def test_the_means_interval_is_that_of_a_large_sample() -> None:
    rng = np.random.default_rng(1)
    base, other = rng.normal(10, 2, 400), rng.normal(11, 3, 200)
    estimate, low, high = mean_difference(base, other, paired=False)
    assert estimate == pytest.approx(other.mean() - base.mean())
    half = 1.97 * np.sqrt(base.var() / 400 + other.var() / 200)
    np.testing.assert_allclose([low, high], [estimate - half, estimate + half], atol=0.05)
    few = mean_difference(base[:5], other, paired=False)
    assert np.isnan(few[1:]).all()


@pytest.mark.parametrize(("paired", "sizes"), [(True, (7, 7)), (False, (6, 6)), (False, (6, 20))])
def test_differences_are_covered_at_least_about_as_often_as_asked_for(paired, sizes) -> None:
    """Of two cohorts 50 apart, in pairs with a seed's part in common; of 20 runs too often."""
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(400):
        base, other = (rng.normal(0, 100, size) for size in sizes)
        if paired:
            other += base
        _, low, high = mean_difference(base, other + 50, paired, resamples=2000)
        inside += low <= 50 <= high
    assert 0.92 <= inside / 400 <= 0.99


def test_p_of_pairs_is_that_of_all_flips_of_signs() -> None:
    differences = np.array([0.3, -0.1, 0.7, 0.2, 0.55, -0.05, 0.4])
    ranks = np.argsort(np.argsort(abs(differences))) + 1
    flips = [np.dot(signs, ranks) for signs in itertools.product((-1, 1), repeat=7)]
    seen = abs(np.dot(np.sign(differences), ranks))
    expected = np.mean(np.abs(flips) >= seen)
    assert signed_rank_p(differences) == pytest.approx(expected)
    assert mean_p(np.zeros(7), differences, paired=True) == pytest.approx(expected)
    assert signed_rank_p(np.zeros(4)) == 1.0


def test_p_of_independent_means_is_that_of_all_divisions_of_the_ranks() -> None:
    base, other = np.array([1.0, 4.0, 5.5]), np.array([2.0, 6.0, 7.0, 9.0])
    pooled = np.concatenate([base, other])
    sums = [sum(c) for c in itertools.combinations(np.argsort(np.argsort(pooled)), 3)]
    far = np.abs(np.array(sums) - np.mean(sums))
    expected = np.mean(far >= far[0])  # the first combination is the base's own
    assert mean_p(base, other, paired=False) == pytest.approx(expected)


def test_ties_leave_p_exact() -> None:
    """Three against three fully apart: 2 of 20 divisions, however the runs of one side tie."""
    capped = np.full(3, 30_000.0)
    assert mean_p([6000.0, 6000.0, 8000.0], capped, paired=False) == pytest.approx(2 / 20)
    assert mean_p(np.zeros(4), np.ones(4), paired=False) == pytest.approx(2 / 70)
    rng = np.random.default_rng(0)
    for _ in range(5):
        base, other = rng.integers(0, 4, 5) * 2000.0, rng.integers(0, 4, 6) * 2000.0
        ranks = stats.rankdata([*base, *other])
        sums = np.array([sum(c) for c in itertools.combinations(ranks, 5)])
        far = np.abs(sums - ranks.sum() * 5 / 11)
        expected = np.mean(far >= far[0] - 1e-9)
        assert mean_p(base, other, paired=False) == pytest.approx(expected)
        moved = base - other[:5]
        signs = np.array(list(itertools.product((-1, 1), repeat=int((moved != 0).sum()))))
        ranks = stats.rankdata(abs(moved[moved != 0]))
        seen = abs(np.dot(np.sign(moved[moved != 0]), ranks))
        expected = np.mean(np.abs(signs @ ranks) >= seen - 1e-9)
        assert signed_rank_p(moved) == pytest.approx(expected)


@pytest.mark.parametrize("size", [20, 50, 60])
def test_p_without_ties_is_scipys(size: int) -> None:
    base, other = np.random.default_rng(size).normal(0, 1, (2, size))
    how = "exact" if size <= 50 else "asymptotic"
    expected = stats.mannwhitneyu(base, other, method=how).pvalue
    assert mean_p(base, other, paired=False) == pytest.approx(expected)
    expected = stats.wilcoxon(base - other, method="exact").pvalue
    assert mean_p(base, other, paired=True) == pytest.approx(expected)


def test_p_of_shares_by_hand() -> None:
    """Eight of twenty good against fifteen; in pairs, nine changed and eight of them for better."""
    base, other = of(8, 20), ~of(5, 20)
    table = stats.hypergeom(40, 23, 20)
    chances = table.pmf(np.arange(21))
    expected = chances[chances <= table.pmf(8) * (1 + 1e-9)].sum()
    assert share_p(base, other, paired=False) == pytest.approx(expected)
    base, other = of(8, 20), np.concatenate([[False], np.ones(15, bool), np.zeros(4, bool)])
    assert share_p(base, other, paired=True) == pytest.approx(2 * (1 + 9) / 2**9)
    assert share_p(base, base, paired=True) == 1.0


def test_pairs_that_are_none() -> None:
    with pytest.raises(ValueError, match="3 runs and 4 make no pairs"):
        mean_difference(np.zeros(3), np.zeros(4), paired=True)
    with pytest.raises(ValueError, match="without runs"):
        share_p([], [True], paired=False)


@pytest.mark.parametrize("paired", [True, False])
def test_a_permutation_test_of_the_mean_is_scipys(paired: bool) -> None:
    rng = np.random.default_rng(3)
    base, other = rng.integers(0, 6, (7, 3)).astype(float), rng.integers(1, 8, (7, 3)).astype(float)
    kind = "samples" if paired else "independent"
    expected = stats.permutation_test(
        (base, other),
        lambda a, b, axis: np.abs(b.mean(axis=axis) - a.mean(axis=axis)),
        vectorized=True, permutation_type=kind, n_resamples=np.inf, alternative="greater",
    ).pvalue  # fmt: skip
    np.testing.assert_allclose(permutation_p(base, other, paired), expected)


def test_a_permutation_test_counted_by_hand() -> None:
    """Of the ten triples of 1 to 5 two have the sums 12 and 6, as far from 9 as can be."""
    assert permutation_p([1, 2], [3, 4, 5], paired=False) == pytest.approx(2 / 10)
    assert permutation_p([1, 2], [9, 10], paired=False) == pytest.approx(2 / 6)
    assert permutation_p([0, 0, 0], [1, 2, 3], paired=True) == 2 / 8
    assert permutation_p([5, 5], [5, 5], paired=False) == 1
    with pytest.raises(ValueError, match="make no pairs"):
        permutation_p([1, 2], [1], paired=True)


@pytest.mark.parametrize("paired", [True, False])
def test_beyond_all_permutations_p_is_drawn_and_never_0(paired: bool) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=40)
    far = permutation_p(base, base + 100 + rng.normal(size=40), paired)
    assert far == 1 / 10_000
    near = base + rng.normal(0.3, 1, 40)
    test = stats.ttest_rel if paired else stats.ttest_ind
    assert permutation_p(base, near, paired) == pytest.approx(test(base, near).pvalue, abs=0.02)
    assert permutation_p(base, near, paired) == permutation_p(base, near, paired, seed=0)


@pytest.mark.parametrize("paired", [True, False])
def test_the_chance_of_improvement_is_mann_whitneys_share_of_pairs(paired: bool) -> None:
    """As rliable has it: U of the two samples divided by the product of their sizes."""
    rng = np.random.default_rng(1)
    base, other = rng.integers(0, 9, 14).astype(float), rng.integers(2, 11, 14).astype(float)
    estimate, low, high = improvement(base, other, paired)
    assert estimate == pytest.approx(stats.mannwhitneyu(other, base).statistic / 14**2)
    rows = np.random.default_rng(0).integers(14, size=(10_000, 14))
    if paired:
        drawn = [
            np.mean(np.sign(other[row][None] - base[row][:, None]) / 2 + 0.5) for row in rows[:500]
        ]
        np.testing.assert_allclose([low, high], np.quantile(drawn, [0.02, 0.98]), atol=0.03)
    assert 0 <= low < estimate < high <= 1
    assert improvement([1.0] * 6, [2.0] * 6, paired)[0] == 1
    assert np.isnan(improvement([1, 2], [2, 3], paired)[1:]).all()


def test_the_interquartile_means_difference_is_that_of_the_middle_halves() -> None:
    rng = np.random.default_rng(2)
    base, other = rng.normal(size=12), rng.normal(1, 1, 12)
    found = mean_difference(base, other, paired=False, statistic=interquartile_mean)
    middle = [np.sort(values)[3:9].mean() for values in (base, other)]
    assert found[0] == pytest.approx(middle[1] - middle[0])
    assert found[1] < found[0] < found[2]


def test_holms_correction_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])
    assert holm(np.array([])).shape == (0,)
