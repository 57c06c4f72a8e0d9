"""The estimators by scikit-learn's own checks, and against its estimators."""

import numpy as np
import pytest
import torch
from probe_data import relu_features
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.utils.estimator_checks import check_estimator

from vrlprobe.errors import DeviceError
from vrlprobe.probes.estimators import MlpProbe, RidgeProbe, SparseProbe

PROBES = [SparseProbe, RidgeProbe, MlpProbe]


@pytest.mark.parametrize("probe", PROBES)
def test_scikit_learns_checks(probe):
    results = check_estimator(probe(), on_skip=None, on_fail=None)
    assert len(results) > 40
    assert [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")] == []


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X, latent = relu_features(rng, 260, 400)
    Y = np.tanh(latent[:, :3]) + 0.1 * rng.standard_normal((260, 3))
    return X[:160], Y[:160], X[160:], Y[160:]


def test_a_sparse_probe_is_least_squares_on_its_support(data):
    X, Y, X_val, Y_val = data
    probe = SparseProbe(20).fit(X, Y, X_val=X_val, y_val=Y_val)
    assert (probe.coef_ != 0).sum(axis=1).tolist() == probe.sparsity_.tolist()
    for target, size in enumerate(probe.sparsity_):
        atoms = probe.support_[target, :size]
        fit = LinearRegression().fit(X[:, atoms].astype(float), Y[:, target])
        np.testing.assert_allclose(probe.coef_[target, atoms], fit.coef_, rtol=1e-7)
        assert probe.intercept_[target] == pytest.approx(fit.intercept_)
        error = np.mean((probe.predict(X_val)[:, target] - Y_val[:, target]) ** 2)
        assert error == pytest.approx(probe.path_.mse["val"][target].min(), rel=1e-9)
        assert (probe.support_[target, size:] == -1).all()
    np.testing.assert_allclose(probe.predict(X), X @ probe.coef_.T + probe.intercept_, rtol=1e-6)


def test_one_target_alone_has_one_axis_less(data):
    X, Y, X_val, Y_val = data
    many = SparseProbe(20).fit(X, Y, X_val=X_val, y_val=Y_val)
    one = SparseProbe(20).fit(X, Y[:, 1], X_val=X_val, y_val=Y_val[:, 1])
    np.testing.assert_allclose(one.coef_, many.coef_[1], rtol=1e-9)
    assert one.predict(X).shape == (160,)
    assert np.shape(one.sparsity_) == np.shape(one.intercept_) == ()
    assert one.support_.tolist() == many.support_[1, : many.sparsity_[1]].tolist()


@pytest.mark.parametrize("n_features", [400, 30])
def test_a_ridge_probe_is_scikit_learns_ridge(data, n_features):
    X, Y, X_val, Y_val = (part[:, :n_features].astype(np.float64) for part in data)
    probe = RidgeProbe().fit(X, Y, X_val=X_val, y_val=Y_val)
    for at, alpha in enumerate(probe.path_.alphas):
        fit = Ridge(alpha=alpha, solver="svd").fit(X, Y)
        for name, x, y in (("train", X, Y), ("val", X_val, Y_val)):
            expected = ((fit.predict(x) - y) ** 2).mean(axis=0)
            np.testing.assert_allclose(
                probe.path_.mse[name][:, at], expected, rtol=1e-5, atol=1e-15
            )
    assert probe.penalty_.tolist() == [
        probe.path_.penalties[i] for i in probe.path_.mse["val"].argmin(axis=1)
    ]
    best = probe.path_.alphas[probe.path_.penalties == probe.penalty_[0]].item()
    fit = Ridge(alpha=best, solver="svd").fit(X, Y[:, 0])
    np.testing.assert_allclose(probe.coef_[0], fit.coef_, rtol=1e-5, atol=1e-9)
    assert probe.intercept_[0] == pytest.approx(fit.intercept_, rel=1e-6)


def test_float32_activations_give_ridges_fit_to_their_precision(data):
    X, Y, X_val, Y_val = data
    single = RidgeProbe().fit(X, Y, X_val=X_val, y_val=Y_val)
    double = RidgeProbe().fit(X.astype(float), Y, X_val=X_val.astype(float), y_val=Y_val)
    np.testing.assert_allclose(single.path_.mse["val"], double.path_.mse["val"], rtol=1e-3)


def test_a_network_finds_what_no_linear_probe_does():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((900, 4))
    Y = np.column_stack([X[:, 0] * X[:, 1], np.full(900, 7.0)])
    sets = {"X_val": X[600:750], "y_val": Y[600:750]}
    linear = RidgeProbe().fit(X[:600], Y[:600], **sets)
    network = MlpProbe(64).fit(X[:600], Y[:600], **sets)
    fitted = network.predict(X[750:])
    assert r2_score(Y[750:, 0], linear.predict(X[750:])[:, 0]) < 0.1
    assert r2_score(Y[750:, 0], fitted[:, 0]) > 0.8
    np.testing.assert_allclose(fitted[:, 1], 7.0, atol=0.5)
    again = MlpProbe(64).fit(X[:600], Y[:600], **sets)
    np.testing.assert_array_equal(again.predict(X), network.predict(X))


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.int32, np.longdouble, list])
@pytest.mark.parametrize("probe", [SparseProbe, RidgeProbe])
def test_large_whole_numbers_keep_their_digits(probe, kind):
    """Unix times, a second apart, have 31 bits: float32 keeps 24."""
    times = 1_700_000_000 + np.arange(200)[:, None]
    rising = np.arange(200.0)
    X = times.tolist() if kind is list else times.astype(kind)
    assert probe().fit(X, rising).score(X, rising) > 0.999999
    assert r2_score(rising, LinearRegression().fit(times, rising).predict(times)) > 0.999999


@pytest.mark.parametrize("probe", PROBES)
def test_a_notebook_shows_it(probe):
    """scikit-learn reads the docstring for this page; a warning is an error in the tests."""
    assert probe.__name__ in probe()._repr_html_()


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("name", ["gpu", "cuda:99", torch.device("meta")])
def test_a_device_that_cannot_compute_is_refused(probe, data, name):
    with pytest.raises(DeviceError, match=f"device '{name}' cannot be used here"):
        probe(device=name).fit(*data[:2])


def test_penalties_are_a_sequence(data):
    X, Y, _, _ = data
    one, two = (RidgeProbe(kind([10.0, 0.1])).fit(X, Y) for kind in (list, np.array))
    assert one.path_.penalties.tolist() == two.path_.penalties.tolist() == [0.1, 10.0]
    with pytest.raises(ValueError, match=r"penalties must be positive numbers.*, not 1\.0"):
        RidgeProbe(1.0).fit(X, Y)


@pytest.mark.parametrize("probe", PROBES)
class TestTheValidationSet:
    def test_groups_stay_together(self, probe, data, monkeypatch):
        X, Y, _, _ = data
        seen = []
        monkeypatch.setattr(probe, "_fit", lambda self, *sets: seen.append(sets))
        groups = np.repeat(np.arange(8), 20)
        X = np.concatenate([groups[:, None].astype(np.float32), X], axis=1)
        probe(validation_fraction=0.25).fit(X, Y, groups=groups)
        ((train, _, held),) = seen
        assert len(set(held["val"][0][:, 0])) == 2
        assert not set(train[:, 0]) & set(held["val"][0][:, 0])

    def test_mistakes(self, probe, data):
        X, Y, X_val, Y_val = data
        for share in (0, 1, 5, 1.5, -0.1):
            with pytest.raises(ValueError, match=f"must lie between 0 and 1, not {share}"):
                probe(validation_fraction=share).fit(X, Y)
        with pytest.raises(ValueError, match="X_val and y_val go together"):
            probe().fit(X, Y, X_val=X_val)
        with pytest.raises(ValueError, match=r"held-out set 'val' has 400 features and 2 targets"):
            probe().fit(X, Y, X_val=X_val, y_val=Y_val[:, :2])
        with pytest.raises(ValueError, match="features"):
            probe().fit(X, Y, X_val=X_val[:, :9], y_val=Y_val)


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float32", "int32"])
@pytest.mark.parametrize("probe", PROBES)
def test_tensors_of_any_kind_are_taken(probe, kind):
    """As `omp_path` takes them: a half float is the float32 of the same value."""
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.integers(-8, 8, (60, 5))).to(getattr(torch, kind))
    plain = X.to(torch.float32).numpy()
    y = plain @ np.arange(5.0)
    targets = torch.tensor(y, requires_grad=True)
    fitted = probe().fit(X.double().requires_grad_(), targets, groups=torch.arange(60))
    expected = probe().fit(plain.astype(float), y, groups=np.arange(60))
    np.testing.assert_array_equal(fitted.predict(X), expected.predict(plain))
    with_sets = probe().fit(X, targets, X_val=X, y_val=targets)
    np.testing.assert_array_equal(
        with_sets.predict(X), probe().fit(plain, y, X_val=plain, y_val=y).predict(plain)
    )


def test_one_group_cannot_be_split(data):
    X, Y, _, _ = data
    with pytest.raises(ValueError, match="groups has one group, at least two are needed"):
        SparseProbe().fit(X, Y, groups=np.zeros(len(X)))


@pytest.mark.parametrize("n_samples", [2, 20])
def test_a_network_of_constant_inputs_gives_the_mean_silently(n_samples):
    """Warnings are errors in the tests."""
    y = np.arange(n_samples, dtype=float)
    fitted = MlpProbe().fit(np.ones((n_samples, 3)), y).predict(np.ones((2, 3)))
    assert fitted[0] == fitted[1]
    assert np.isfinite(fitted).all()
