"""Principal coordinates and the probes on them, against singular values in float64."""

import numpy as np
import pytest
import torch
from probe_data import relu_features
from sklearn.metrics import r2_score

from vrlprobe.probes.principal import Principal
from vrlprobe.probes.ridge import ridge_path


def unlike_units(n_samples, n_features, seed=0):
    """Float32 activations whose units deviate by 1e-2 to 3e3, about means of the same size."""
    rng = np.random.default_rng(seed)
    X, _ = relu_features(rng, n_samples, n_features)
    scale = 10.0 ** rng.uniform(-2, 3.5, n_features)
    return ((X + rng.uniform(0, 2, n_features)) * scale).astype(np.float32)


WIDTHS = pytest.mark.parametrize("n_features", [60, 500], ids=["tall", "wide"])


@WIDTHS
def test_they_are_a_rotation_of_the_training_rows(n_features):
    X = unlike_units(200, n_features)
    centred = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    found = Principal.of(torch.from_numpy(X))
    values = np.linalg.svd(centred, compute_uv=False)
    kept = values > 1e-6 * values[0]
    np.testing.assert_allclose(found.variance.sqrt(), values[kept], rtol=1e-4)
    training = found.training.numpy()
    np.testing.assert_allclose(found(torch.from_numpy(X)), training, atol=1e-4)
    axes = found.back(torch.eye(len(found.variance), dtype=torch.float64)).numpy()
    np.testing.assert_allclose(axes.T @ axes, np.eye(kept.sum()), atol=1e-3)
    np.testing.assert_allclose(training @ axes.T, centred, atol=2e-6 * values[0])


@WIDTHS
def test_a_large_unit_hides_no_small_one(n_features):
    rng = np.random.default_rng(0)
    y = rng.standard_normal(500)
    X = 0.1 * rng.standard_normal((500, n_features)).astype(np.float32)
    X[:, 0] = 3e3 * rng.standard_normal(500)
    X[:, 1] = y
    path = ridge_path(
        X[:300], y[:300], heldout={"val": (X[300:400], y[300:400]), "test": (X[400:], y[400:])}
    )
    chosen = path.best_penalty("val")
    assert r2_score(y[400:], path.predict(X[400:], chosen)[:, 0]) > 0.99
    assert path.mse["test"][0, chosen[0]] < 0.01 * y[400:].var()


@WIDTHS
def test_ridge_is_that_of_singular_values_in_float64(n_features):
    X, held = np.split(unlike_units(250, n_features), [200])
    Y = np.random.default_rng(1).standard_normal((200, 2)) + X[:, :2] / X[:, :2].std(axis=0)
    path = ridge_path(X, Y, heldout={"val": (held, Y[:50])})
    mean = X.astype(np.float64).mean(axis=0)
    U, values, Vt = np.linalg.svd(X - mean, full_matrices=False)
    kept = values > 1e-6 * values[0]
    assert kept.sum() > 30
    assert values[kept].min() < 1e-4 * values[0]
    U, values, Vt = U[:, kept], values[kept], Vt[kept]
    for at, alpha in enumerate(path.alphas):
        weights = Vt.T @ ((values / (values**2 + alpha))[:, None] * (U.T @ (Y - Y.mean(axis=0))))
        fitted = (held - mean) @ weights + Y.mean(axis=0)
        error = ((fitted - Y[:50]) ** 2).mean(axis=0)
        np.testing.assert_allclose(path.mse["val"][:, at], error, rtol=1e-3)
        np.testing.assert_allclose(path.predict(held, at), fitted, rtol=1e-2, atol=1e-2)


@WIDTHS
def test_units_that_stay_the_same_are_no_axes(n_features):
    X = np.full((200, n_features), 0.1, np.float32)
    found = Principal.of(torch.from_numpy(X))
    assert found.training.shape == (200, 0)
    assert found.mean_variance == 1
    X[:, 1] = np.linspace(0, 1, 200)
    found = Principal.of(torch.from_numpy(X))
    assert found.training.shape == (200, 1)
    np.testing.assert_allclose(found.training[:, 0].abs(), np.abs(X[:, 1] - 0.5), atol=1e-7)


@WIDTHS
def test_they_stay_when_the_data_change_afterwards(n_features):
    X = torch.from_numpy(unlike_units(200, n_features))
    held = X[:20].clone()
    found = Principal.of(X)
    before = found(held)
    X.zero_()
    torch.testing.assert_close(found(held), before)
