"""The sparse path at the edges of what it may be given: each case has a stated answer."""

import numpy as np
import pytest
from probe_data import relu_features

from vrlprobe.probes.omp import omp_path


class TestColumnsAtTheEdge:
    def test_dead_and_constant_columns_are_never_chosen(self):
        rng = np.random.default_rng(10)
        X = rng.standard_normal((50, 8)).astype(np.float32)
        X[:, 1], X[:, 4] = 0.0, 0.1
        X[:, 6] = np.float32(100.0) + np.float32(7.6e-6) * (rng.random(50) > 0.5)
        path = omp_path(X, rng.standard_normal((50, 3)), 8)
        assert (path.n_atoms == 5).all()
        assert not np.isin([1, 4, 6], path.support).any()

    def test_only_dead_columns_leave_the_mean(self):
        path = omp_path(np.zeros((9, 4), np.float32), np.arange(9.0), 3)
        assert path.n_atoms.tolist() == [0]
        assert path.support.tolist() == [[-1, -1, -1]]
        np.testing.assert_allclose(path.mse["train"], np.arange(9.0).var())
        np.testing.assert_allclose(path.predict(np.ones((2, 4)), 3), 4.0)

    def test_of_equal_columns_the_first_is_chosen_and_once(self):
        rng = np.random.default_rng(11)
        base = rng.standard_normal((40, 3)).astype(np.float32)
        X = np.column_stack([base[:, 0], base, -2 * base, base[:, 1]])
        y = base.astype(float) @ [3.0, 2.0, 1.0] + 0.1 * rng.standard_normal(40)
        path = omp_path(X, y, 8)
        assert path.support[0].tolist() == [0, 2, 3, -1, -1, -1, -1, -1]

    def test_scaling_columns_changes_nothing_but_the_coefficients(self):
        rng = np.random.default_rng(12)
        X, latent = relu_features(rng, 80, 150)
        scale = 2.0 ** rng.integers(-20, 20, 150).astype(np.float32)
        plain, scaled = omp_path(X, latent, 10), omp_path(X * scale, latent, 10)
        np.testing.assert_array_equal(plain.support, scaled.support)
        expected = plain.coefficients(10)[0] / scale[plain.support]
        np.testing.assert_allclose(scaled.coefficients(10)[0], expected, rtol=1e-7)

    def test_held_out_rows_do_not_change_the_fit(self):
        rng = np.random.default_rng(13)
        X, latent = relu_features(rng, 80, 150)
        loud = {"val": (1000 * X[:5], latent[:5])}
        np.testing.assert_array_equal(
            omp_path(X, latent, 10).support, omp_path(X, latent, 10, heldout=loud).support
        )

    def test_a_column_dead_in_training_alone_is_never_chosen(self):
        rng = np.random.default_rng(14)
        X = rng.standard_normal((30, 4)).astype(np.float32)
        X[:20, 2] = 0.0
        y = rng.standard_normal(30)
        path = omp_path(X[:20], y[:20], 4, heldout={"val": (X[20:], y[20:])})
        assert 2 not in path.support


class TestTargetsAtTheEdge:
    def test_a_constant_target_has_no_atoms(self):
        X = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
        path = omp_path(X, np.full(20, 0.1), 3, heldout={"val": (X, np.full(20, 0.3))})
        assert path.n_atoms.tolist() == [0]
        assert path.mse["train"].tolist() == [[0.0] * 4]
        np.testing.assert_allclose(path.mse["val"], 0.04)

    @pytest.mark.parametrize("scale", [1e-150, 1e-9, 1e9])
    def test_the_size_of_a_target_does_not_matter(self, scale):
        rng = np.random.default_rng(15)
        X, latent = relu_features(rng, 80, 150)
        path = omp_path(X, scale * latent, 10)
        np.testing.assert_array_equal(path.support, omp_path(X, latent, 10).support)

    def test_one_sample_is_its_own_mean(self):
        path = omp_path(np.ones((1, 5), np.float32), np.array([[2.0, 3.0]]), 4)
        assert path.support.shape == (2, 4)
        assert path.n_atoms.tolist() == [0, 0]
        np.testing.assert_array_equal(path.predict(np.zeros((1, 5)), 4), [[2.0, 3.0]])

    def test_fewer_samples_than_atoms_end_in_an_exact_fit(self):
        rng = np.random.default_rng(16)
        X = rng.standard_normal((6, 50)).astype(np.float32)
        path = omp_path(X, rng.standard_normal((6, 2)), 20)
        assert path.support.shape == (2, 20)
        assert (path.n_atoms <= 5).all()
        assert path.mse["train"].shape == (2, 21)
        assert path.mse["train"][:, -1].max() < 1e-25


class TestWrongInput:
    X = np.ones((4, 3), np.float32)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_values_that_are_no_numbers(self, bad):
        X = self.X.copy()
        X[2, 1] = bad
        with pytest.raises(
            ValueError, match=r"X has NaN or infinite values in 1 of 3 columns.* 1$"
        ):
            omp_path(X, np.zeros(4), 2)
        with pytest.raises(ValueError, match="Y of 'val' has NaN"):
            omp_path(self.X, np.zeros(4), 2, heldout={"val": (self.X, np.full(4, bad))})

    def test_shapes(self):
        with pytest.raises(ValueError, match=r"not \(4, 3\) and \(5, 1\)"):
            omp_path(self.X, np.zeros(5), 2)
        with pytest.raises(ValueError, match="is empty: 0 samples, 3 features"):
            omp_path(self.X[:0], np.zeros(0), 2)
        with pytest.raises(ValueError, match="'val' has 2 features and 1 targets"):
            omp_path(self.X, np.zeros(4), 2, heldout={"val": (self.X[:, :2], np.zeros(4))})

    def test_sets_without_names(self):
        Y = np.zeros(4)
        for heldout in ((self.X, Y), [self.X, Y], self.X):
            with pytest.raises(ValueError, match="heldout is sets by name"):
                omp_path(self.X, Y, 2, heldout=heldout)

    def test_numbers_and_names(self):
        with pytest.raises(ValueError, match="max_atoms must be at least 1"):
            omp_path(self.X, np.zeros(4), 0)
        with pytest.raises(ValueError, match="'train' is taken"):
            omp_path(self.X, np.zeros(4), 2, heldout={"train": (self.X, np.zeros(4))})
        with pytest.raises(ValueError, match="sparsity must lie in 0 to 2"):
            omp_path(self.X, np.zeros(4), 2).coefficients(3)
