"""Telling ends by thresholds, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from vrlprobe.stats.threshold import (
    balanced_accuracy,
    best_cut,
    best_left_out,
    left_out,
    separation,
    share_as_good,
    shuffled,
)


def told_by_others(values, bad) -> np.ndarray:
    table = np.reshape(values, (len(bad), -1))
    return best_left_out([left_out(column, [bad]) for column in table.T])[0]


@pytest.fixture(params=range(6))
def runs(request):
    """A metric with ties and an end that it half tells."""
    rng = np.random.default_rng(request.param)
    bad = rng.random(23) < 0.4
    return np.round(rng.normal(size=23) - bad, 1), bad


def test_separation_and_accuracy_are_scikit_learns(runs) -> None:
    values, bad = runs
    assert separation(values, bad) == pytest.approx(roc_auc_score(bad, values))
    told = values < 0
    assert balanced_accuracy(told, bad) == pytest.approx(balanced_accuracy_score(bad, told))


def test_no_threshold_is_better_than_the_best_cut(runs) -> None:
    values, bad = runs
    cut = best_cut(values, bad)
    tried = [
        balanced_accuracy(side, bad)
        for threshold in np.arange(values.min() - 0.05, values.max() + 0.1, 0.1)
        for side in (values > threshold, values < threshold)
    ]
    assert cut.accuracy == pytest.approx(max(tried))
    assert balanced_accuracy(cut.tells(values), bad) == pytest.approx(cut.accuracy)


def test_leaving_one_out_is_a_stump_of_scikit_learns_where_the_ends_are_apart() -> None:
    rng = np.random.default_rng(0)
    bad = np.arange(20) % 3 == 0
    values = rng.normal(size=20) - 5 * bad
    values[4] = -9.0  # looks bad and is not
    stump = DecisionTreeClassifier(max_depth=1, class_weight="balanced")
    expected = cross_val_predict(stump, values[:, None], bad, cv=LeaveOneOut())
    told = told_by_others(values, bad)
    np.testing.assert_array_equal(told, expected)
    assert told[4]
    assert balanced_accuracy(told, bad) == pytest.approx((1 + 12 / 13) / 2)


def test_a_run_does_not_help_to_tell_its_own_end() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 9.0])
    bad = np.array([False, False, False, True, True])
    assert best_cut(values, bad).tells(values).tolist() == [False] * 4 + [True]
    assert not told_by_others(values, bad)[4]


def test_thresholds_lie_between_decades() -> None:
    cut = best_cut([1e-8, 1e-6, 1e-2, 1.0], [True, True, False, False])
    assert cut.threshold == pytest.approx(1e-4)
    assert not cut.above
    assert best_cut([-2.0, 0.0, 4.0, 5.0], [False, False, True, True]).threshold == 2.0


def test_a_cut_separates_neighbouring_numbers() -> None:
    low = np.random.default_rng(0).uniform(0.1, 10, 200)
    for value in [*low, *-low, 0.0, 5e-324]:
        pair = np.array([value, np.nextafter(value, np.inf)])
        for bad in ([True, False], [False, True]):
            cut = best_cut(pair, bad)
            assert cut.accuracy == 1
            assert cut.tells(pair).tolist() == bad


def test_the_metric_that_is_best_on_the_others_is_taken() -> None:
    rng = np.random.default_rng(1)
    bad = np.arange(12) < 5
    noise, good = rng.normal(size=12), bad + rng.normal(scale=0.1, size=12)
    np.testing.assert_array_equal(told_by_others(np.column_stack([noise, good]), bad), bad)
    many = rng.normal(size=(12, 200))
    lucky = max(best_cut(column, bad).accuracy for column in many.T)
    assert lucky > 0.9
    assert balanced_accuracy(told_by_others(many, bad), bad) < 0.8


@pytest.mark.parametrize(
    ("values", "bad"),
    [([1.0, 1.0, 1.0], [True, False, True]), ([1.0, 2.0], [True, True]), ([1.0], [False])],
)
def test_where_nothing_can_be_told_nothing_is(values, bad) -> None:
    cut = best_cut(values, bad)
    assert cut.accuracy == 0.5
    assert not cut.tells(values).any()
    assert not told_by_others(values, bad).any()
    if len(set(bad)) == 1:
        assert np.isnan(separation(values, bad))
        assert np.isnan(balanced_accuracy(bad, bad))


def test_many_ways_at_once_are_the_best_cuts_of_the_others() -> None:
    rng = np.random.default_rng(3)
    for values in (rng.normal(size=11), rng.integers(0, 4, 11) - 1.0, np.zeros(11)):
        ways = shuffled(np.arange(11) < 2, shuffles=30)
        told, accuracy = left_out(values, ways)
        for way, found, known in zip(ways, told, accuracy, strict=True):
            for run in range(11):
                others = np.arange(11) != run
                cut = best_cut(values[others], way[others])
                assert found[run] == cut.tells(values[[run]])[0]
                assert known[run] == cut.accuracy


def test_noise_has_a_small_p_as_seldom_as_it_should_and_an_indicator_the_smallest() -> None:
    rng = np.random.default_rng(4)
    bad = np.arange(14) < 6
    found = []
    for _ in range(150):
        ways = shuffled(bad, seed=int(rng.integers(10**6)), shuffles=59)
        parts = [left_out(column, ways) for column in rng.normal(size=(5, 14))]
        found.append(share_as_good(best_left_out(parts), ways))
    shares = [np.mean(np.array(found) <= level) for level in (0.1, 0.5)]
    np.testing.assert_array_less(shares, [0.1 + 0.05, 0.5 + 0.08])
    assert shares[1] > 0.3
    ways = shuffled(bad)
    assert ways.sum(axis=1).tolist() == [6] * 200
    assert share_as_good(left_out(bad + np.arange(14) / 100, ways)[0], ways) == 1 / 200
