"""Each metric against a closed form, scikit-learn or NumPy's plain definition."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from vrlprobe import metrics

LAYER_METRICS = (
    "numerical_rank",
    "effective_rank",
    "srank",
    "correlation_neurons",
    "cosine_neurons",
    "correlation_samples",
    "dead_units",
    "zero_fraction",
    "dormant_ratio",
)


@pytest.fixture
def activations() -> np.ndarray:
    """Rectified features of 60 samples, 40 units, some of them dead."""
    rng = np.random.default_rng(0)
    values = np.maximum(rng.standard_normal((60, 8)) @ rng.standard_normal((8, 40)), 0)
    values[:, ::7] = 0
    return values.astype(np.float32)


def pairs(matrix: np.ndarray) -> float:
    """Mean of a square matrix over the pairs off its diagonal."""
    return float(matrix[np.triu_indices(len(matrix), 1)].mean())


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_singular_values_are_those_of_a_decomposition(
    activations: np.ndarray, shape: tuple[int, int]
) -> None:
    values = activations.reshape(shape)
    expected = scipy.linalg.svdvals(values.astype(np.float64))
    found = metrics.singular_values(values)
    assert found.shape == expected.shape
    assert found == pytest.approx(expected, abs=2e-7 * expected[0])


@given(st.integers(1, 20), st.floats(1e-6, 1e6))
def test_ranks_of_an_orthogonal_matrix_are_its_rank(rank: int, scale: float) -> None:
    matrix = np.zeros((25, 30))
    matrix[:rank, :rank] = scale * np.eye(rank)
    values = metrics.singular_values(matrix)
    assert metrics.numerical_rank(values) == pytest.approx(rank)
    assert metrics.effective_rank(values) == pytest.approx(rank)
    assert metrics.srank(values) == rank


def test_ranks_of_unequal_singular_values() -> None:
    values = np.array([3.0, 1.0, 0.0])
    assert metrics.numerical_rank(values) == pytest.approx(16 / 10)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert metrics.effective_rank(values) == pytest.approx(np.exp(entropy))
    assert metrics.srank(values) == 2
    assert metrics.srank(values, 0.75) == 1
    assert metrics.srank(values, 0.76) == 2


def test_correlations_are_the_mean_over_pairs(activations: np.ndarray) -> None:
    live = activations[:, activations.any(axis=0)]
    expected = pairs(np.asarray(np.corrcoef(live.T.astype(np.float64))))
    assert metrics.correlation_neurons(activations) == pytest.approx(expected, abs=1e-12)
    expected = pairs(cosine_similarity(live.T.astype(np.float64)))
    assert metrics.cosine_neurons(activations) == pytest.approx(expected, abs=1e-12)
    expected = pairs(cosine_similarity(activations.astype(np.float64)))
    assert metrics.correlation_samples(activations) == pytest.approx(expected, abs=1e-12)


def test_opposed_units_have_a_negative_correlation() -> None:
    x = np.arange(5.0)[:, None]
    assert metrics.correlation_neurons(np.hstack([x, 4 - x])) == pytest.approx(-1)
    assert metrics.correlation_neurons(np.hstack([x, 2 * x + 1])) == pytest.approx(1)


def test_units_that_never_change_are_alike_to_the_cosine_alone() -> None:
    constant = np.tile([1.0, 3.0, 0.0, 0.2], (6, 1))
    assert metrics.cosine_neurons(constant) == pytest.approx(1)
    assert np.isnan(metrics.correlation_neurons(constant))
    apart = np.kron(np.eye(3), np.ones((2, 1)))  # each fires alone
    assert metrics.cosine_neurons(apart) == pytest.approx(0)
    assert metrics.correlation_neurons(apart) == pytest.approx(-0.5)


def test_zeros_are_counted() -> None:
    values = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    assert metrics.dead_units(values) == 1
    assert metrics.zero_fraction(values) == pytest.approx(4 / 6)


def test_dormant_units_are_small_beside_their_layer() -> None:
    values = np.tile([0.0, -0.001, 0.06, 1.939], (4, 1))  # mean 0.5
    assert metrics.dormant_ratio(values) == pytest.approx(2 / 4)
    assert metrics.dormant_ratio(values, metrics.DORMANT_REDO) == pytest.approx(2 / 4)
    assert metrics.dormant_ratio(values, 0.13) == pytest.approx(3 / 4)


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_a_threshold_that_cannot_be(threshold: float) -> None:
    with pytest.raises(ValueError, match="a number of 0 or more"):
        metrics.dormant_ratio(np.eye(3), threshold)


NAN = float("nan")
DEGENERATE = {
    "all zero": (np.zeros((6, 4)), (0, 0, 0, NAN, NAN, NAN, 4, 1, 1)),
    "all samples equal": (
        np.tile([1.0, 0.0, 2.0], (6, 1)),
        (1, 1, 1, NAN, 1, 1, 1, 1 / 3, 1 / 3),
    ),
    "one unit alive": (
        np.outer(np.arange(6.0), [0, 0, 1]),
        (1, 1, 1, NAN, NAN, 1, 2, 13 / 18, 2 / 3),
    ),
    "one sample": (np.array([[3.0, 0.0, 4.0]]), (1, 1, 1, NAN, 1, NAN, 1, 1 / 3, 1 / 3)),
    "one number": (np.array([[2.0]]), (1, 1, 1, NAN, NAN, NAN, 0, 0, 0)),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_layers_have_a_stated_answer(case: str) -> None:
    values, expected = DEGENERATE[case]
    found = metrics.layer_metrics(values.astype(np.float32))
    assert found == pytest.approx(dict(zip(LAYER_METRICS, expected, strict=True)), nan_ok=True)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int8])
def test_every_number_is_that_of_the_same_values_in_float64(kind: type) -> None:
    rng = np.random.default_rng(0)
    activations = np.maximum(rng.standard_normal((5000, 12)) * 40, 0).astype(kind)
    actions = rng.uniform(-1, 1, (5000, 2)).astype(kind)
    activations[:, 3], actions[:, 1] = -128, 0.9999
    exact, exact_actions = activations.astype(np.float64), actions.astype(np.float64)
    assert metrics.layer_metrics(activations) == metrics.layer_metrics(exact)
    for measure in (metrics.action_std, metrics.action_entropy):
        assert measure(actions) == measure(exact_actions)
    assert metrics.action_std(actions[:, 1:]) == pytest.approx(0, abs=1e-12)
    values = metrics.singular_values(exact).astype(kind)
    for rank in (metrics.numerical_rank, metrics.effective_rank, metrics.srank):
        assert rank(values) == rank(values.astype(np.float64))


def test_rounding_does_not_make_constant_units_move() -> None:
    """Equal samples differ in the last bit by their place in a batch."""
    rng = np.random.default_rng(0)
    values = np.tile(rng.uniform(1, 2, 30), (50, 1)).astype(np.float32)
    values *= 1 + np.finfo(np.float32).eps * rng.integers(2, size=values.shape)
    assert np.isnan(metrics.correlation_neurons(values))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_diverged_has_no_metrics(bad):
    values = np.array([[1.0, bad], [0.0, 0.5], [0.2, 0.3]])
    for name in ("action_std", "saturated_share", "action_entropy"):
        assert np.isnan(getattr(metrics, name)(values))
    assert np.isnan(list(metrics.layer_metrics(values).values())).all()
