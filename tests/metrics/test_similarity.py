"""Linear CKA against its definition, its invariances and what independent layers give."""

import numpy as np
import pytest

from vrlprobe import metrics


def hsic(one: np.ndarray, other: np.ndarray) -> float:
    """Song et al. (2012), equation 5, written out: the unbiased estimator from Gram matrices."""
    K, L = (values @ values.T for values in (one.astype(np.float64), other.astype(np.float64)))
    n = len(K)
    K, L = (gram - np.diag(np.diag(gram)) for gram in (K, L))
    ones = np.ones(n)
    total = np.trace(K @ L)
    total += (ones @ K @ ones) * (ones @ L @ ones) / ((n - 1) * (n - 2))
    total -= 2 / (n - 2) * (ones @ K @ L @ ones)
    return float(total / (n * (n - 3)))


def cka(one: np.ndarray, other: np.ndarray) -> float:
    return hsic(one, other) / np.sqrt(hsic(one, one) * hsic(other, other))


def biased(one: np.ndarray, other: np.ndarray) -> float:
    """Kornblith et al. (2019), section 3: from the feature matrices, centred."""
    X, Y = (values - values.mean(axis=0) for values in (one, other))
    dot = np.linalg.norm(X.T @ Y) ** 2
    return float(dot / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)))


@pytest.fixture
def layers() -> tuple[np.ndarray, np.ndarray]:
    """Two rectified layers of 40 samples that share some of their inputs."""
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((40, 12))
    one = np.maximum(inputs[:, :8] @ rng.standard_normal((8, 30)), 0)
    other = np.maximum(inputs[:, 4:] @ rng.standard_normal((8, 500)) + 2, 0)
    return one, other


def test_it_is_the_definition(layers) -> None:
    one, other = layers
    assert metrics.linear_cka(one, other) == pytest.approx(cka(one, other), abs=1e-12)
    assert 0.1 < cka(one, other) < 0.9
    few = one[:4], other[:4]
    assert metrics.linear_cka(*few) == pytest.approx(cka(*few), abs=1e-9)


def test_a_rotation_a_scaling_and_a_translation_change_nothing(layers) -> None:
    one, other = layers
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    expected = metrics.linear_cka(one, other)
    assert metrics.linear_cka(one @ rotation, other) == pytest.approx(expected, abs=1e-12)
    assert metrics.linear_cka(1e-2 * one + 5, other) == pytest.approx(expected, abs=1e-6)
    assert metrics.linear_cka(one @ rotation, one) == pytest.approx(1)
    assert metrics.linear_cka(other, one) == pytest.approx(expected, abs=1e-12)
    stretched = one * np.linspace(0.1, 5, 30)
    assert metrics.linear_cka(stretched, other) != pytest.approx(expected, abs=1e-3)


def test_independent_layers_are_around_zero_where_the_biased_estimator_is_not() -> None:
    rng = np.random.default_rng(0)
    draws = [rng.standard_normal((2, 32, 200)) for _ in range(100)]
    found = np.array([metrics.linear_cka(*pair) for pair in draws])
    assert np.isfinite(found).all()
    assert abs(found.mean()) < 3 * found.std() / 10
    assert (found < 0).any()
    assert min(biased(*pair) for pair in draws) > 0.5


def test_far_more_units_than_samples() -> None:
    values = np.random.default_rng(1).standard_normal((20, 100_000)).astype(np.float32)
    assert metrics.linear_cka(values, -values) == pytest.approx(1)


def test_what_is_undefined() -> None:
    layer = np.random.default_rng(1).standard_normal((10, 3))
    constant = np.full((10, 3), 0.1, np.float32) * (1 + 1e-7 * layer)
    broken = layer.copy()
    broken[0, 0] = np.nan
    for other in (np.zeros((10, 5)), constant.astype(np.float32), broken):
        assert np.isnan(metrics.linear_cka(layer, other))
    with pytest.raises(ValueError, match="the same samples, not 10 and 9"):
        metrics.linear_cka(layer, layer[:9])
    with pytest.raises(ValueError, match="needs 4 samples, found 3"):
        metrics.linear_cka(layer[:3], layer[:3])
