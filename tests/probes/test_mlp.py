"""The network as probe: a planted nonlinearity, the epoch that it keeps, what it refuses."""

import numpy as np
import pytest

from vrlprobe.probes.mlp import mlp_fit
from vrlprobe.probes.ridge import ridge_path


@pytest.fixture(scope="module")
def planted():
    """The second target is |x0|, of which nothing is linear in X; the first is x1 itself."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 3)).astype(np.float32)
    Y = np.column_stack([X[:, 1], np.abs(X[:, 0])]).astype(np.float64)
    return X[:600], Y[:600], {"val": (X[600:750], Y[600:750]), "test": (X[750:], Y[750:])}


def test_a_planted_nonlinearity_is_found_that_no_linear_probe_finds(planted) -> None:
    X, Y, held = planted
    fit = mlp_fit(X, Y, heldout=held)
    variance = held["test"][1].var(axis=0)
    linear = ridge_path(X, Y, heldout=held)
    best = linear.mse["test"][[0, 1], linear.best_penalty("val")]
    assert best[0] < 0.01 * variance[0]
    assert best[1] > 0.9 * variance[1]
    assert (fit.mse["test"] < 0.05 * variance).all()
    by_hand = ((fit.predict(held["test"][0]) - held["test"][1]) ** 2).mean(axis=0)
    np.testing.assert_allclose(fit.mse["test"], by_hand, rtol=1e-4)


def test_the_best_epoch_is_kept(planted) -> None:
    """Trainings that end at any epoch give the errors of each: the lowest is the one kept."""
    X, Y, held = planted
    whole = mlp_fit(X, Y, heldout=held, epochs=12)
    scale = Y.var(axis=0)
    ends = [mlp_fit(X, Y, heldout=held, epochs=epochs) for epochs in range(1, 13)]
    errors = [float((fit.mse["val"] / scale).mean()) for fit in ends]
    assert errors == sorted(errors, reverse=True)
    assert float((whole.mse["val"] / scale).mean()) == pytest.approx(min(errors))
    again = mlp_fit(X, Y, heldout=held, epochs=whole.n_epochs)
    np.testing.assert_array_equal(again.mse["test"], whole.mse["test"])


@pytest.mark.parametrize("spoilt", ["X", "Y"])
def test_a_held_out_set_without_a_finite_error_is_refused(spoilt):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 4)).astype(np.float32), rng.standard_normal((60, 1))
    far = {name: np.full_like(values[:10], 3e38) for name, values in (("X", X), ("Y", Y))}
    held = {"X": X[:10], "Y": Y[:10], spoilt: far[spoilt]}
    with pytest.raises(ValueError, match="the error on held-out set 'val' is never finite: its "):
        mlp_fit(X, Y, heldout={"val": (held["X"], held["Y"])}, epochs=2)
