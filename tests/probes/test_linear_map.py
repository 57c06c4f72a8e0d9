"""A linear map between layers: against scikit-learn's ridge, and planted maps."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from vrlprobe.probes.linear_map import PENALTIES, fit_linear_map


def drawn(n_train, n_features, n_targets, noise=0.3, seed=0):
    """Training and validation pairs of a noisy linear map with an offset."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((n_features, n_targets)) / n_features**0.5
    sets = []
    for count in (n_train, n_train // 2):
        X = 2 + rng.standard_normal((count, n_features)) * np.linspace(0.2, 3, n_features)
        Y = 5 + X @ weights + noise * rng.standard_normal((count, n_targets))
        sets.append((X.astype(np.float32), Y.astype(np.float32)))
    return sets


@pytest.mark.parametrize(("n_train", "n_features", "n_targets"), [(60, 12, 7), (40, 90, 80)])
def test_it_is_scikit_learns_ridge_with_the_best_penalty(n_train, n_features, n_targets):
    (X, Y), (X_val, Y_val) = drawn(n_train, n_features, n_targets)
    found = fit_linear_map(X, Y, (X_val, Y_val))

    scale = found.alpha / found.penalty
    wide = [each.astype(np.float64) for each in (X, Y, X_val, Y_val)]
    errors = []
    for penalty in PENALTIES:
        ridge = Ridge(alpha=penalty * scale, solver="svd").fit(wide[0], wide[1])
        errors.append(((ridge.predict(wide[2]) - wide[3]) ** 2).sum())
    best = PENALTIES[int(np.argmin(errors))]
    assert found.penalty == pytest.approx(best)
    assert not found.at_edge

    ridge = Ridge(alpha=found.alpha, solver="svd").fit(wide[0], wide[1])
    given = found(torch.from_numpy(X_val)).numpy()
    np.testing.assert_allclose(given, ridge.predict(wide[2]), atol=2e-5)


def test_the_scale_of_the_penalty_is_the_mean_variance_of_an_axis():
    (X, Y), val = drawn(60, 12, 7)
    found = fit_linear_map(X, Y, val, penalties=(0.5,))
    squares = np.linalg.svd(X.astype(np.float64) - X.mean(axis=0, dtype=np.float64))[1] ** 2
    assert found.alpha == pytest.approx(0.5 * squares.mean(), rel=1e-6)
    assert found.at_edge


def test_a_planted_map_is_found():
    (X, Y), (X_val, Y_val) = drawn(200, 30, 25, noise=0)
    found = fit_linear_map(X, Y, (X_val, Y_val))
    np.testing.assert_allclose(found(torch.from_numpy(X_val)).numpy(), Y_val, atol=1e-4)
    assert found.penalty == pytest.approx(min(PENALTIES))


def test_no_matrix_of_features_by_targets_where_samples_are_fewer():
    (X, Y), val = drawn(20, 400, 300)
    found = fit_linear_map(X, Y, val)
    assert [tuple(factor.shape) for factor in found.factors] == [(400, 19), (19, 300)]
    tall = fit_linear_map(*drawn(400, 20, 30)[0], drawn(400, 20, 30)[1])
    assert [tuple(factor.shape) for factor in tall.factors] == [(20, 30)]


def test_constant_features_give_the_mean():
    (X, Y), (X_val, Y_val) = drawn(30, 5, 4)
    found = fit_linear_map(np.full_like(X, 0.3), Y, (np.full_like(X_val, 0.3), Y_val))
    given = found(torch.full((2, 5), 0.3)).numpy()
    np.testing.assert_allclose(given, np.tile(Y.mean(axis=0), (2, 1)), atol=1e-5)


def test_values_that_are_not_finite_are_refused():
    (X, Y), val = drawn(30, 5, 4)
    Y[3, 2] = np.nan
    with pytest.raises(ValueError, match="Y has NaN or infinite values in 1 of 4 columns"):
        fit_linear_map(X, Y, val)
