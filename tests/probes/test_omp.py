"""The sparse path against scikit-learn's, against plain least squares, and at its edges."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from probe_data import relu_features, unit_columns
from sklearn.linear_model import orthogonal_mp

from vrlprobe.agents.activations import extract_activations
from vrlprobe.probes.omp import OmpPath, Options, omp_path
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures").glob("*.h5"))


def oracle(X, y, n_atoms):
    """scikit-learn's choices in order, and its raw coefficients at every sparsity."""
    live, unit, norm = unit_columns(X)
    order: list[int] = []
    steps = []
    for size in range(1, n_atoms + 1):
        coef = orthogonal_mp(unit, y - y.mean(), n_nonzero_coefs=size)
        (new,) = set(np.flatnonzero(coef)) - set(order)
        order.append(int(new))
        steps.append(coef[order] / norm[order])
    return live[order], steps


def relative_gap(X, y, chosen, one, other):
    """How far two columns' scores lie apart once ``chosen`` are fitted, relative to the larger."""
    live, unit, _ = unit_columns(X)
    at = {int(index): place for place, index in enumerate(live)}
    target = y - y.mean()
    known = unit[:, [at[int(index)] for index in chosen]]
    residual = target - known @ np.linalg.lstsq(known, target, rcond=None)[0]
    first, second = (abs(unit[:, at[int(index)]] @ residual) for index in (one, other))
    return abs(first - second) / max(first, second)


def refit(X, y, atoms):
    """Least squares with an intercept on the chosen columns: coefficients, intercept."""
    design = np.column_stack([np.ones(len(X)), X[:, atoms].astype(np.float64)])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    return solution[1:], solution[0]


def agreement(path, X, y, target):
    """How many choices equal scikit-learn's; the first that does not must be an exact tie."""
    ours = path.support[target]
    theirs, coef = oracle(X, y, path.max_atoms)
    same = int(np.argmin(np.append(ours == theirs, False)))
    if same:
        values = path.coefficients(same)[0][target, :same]
        size = np.abs(coef[same - 1]).max()
        np.testing.assert_allclose(values, coef[same - 1], rtol=1e-7, atol=1e-9 * size)
    if same < path.max_atoms:
        assert relative_gap(X, y, ours[:same], ours[same], theirs[same]) < 1e-12
        assert ours[same] < theirs[same]
    return same


@pytest.mark.parametrize("seed", range(4))
def test_supports_and_coefficients_equal_scikit_learn_up_to_the_first_tie(seed):
    rng = np.random.default_rng(seed)
    X, latent = relu_features(rng, 150, 600)
    Y = np.tanh(latent[:, :5]) + 0.2 * rng.standard_normal((150, 5))
    path = omp_path(X, Y, 20)
    assert sum(agreement(path, X, Y[:, target], target) for target in range(5)) >= 90


def test_without_ties_every_choice_equals_scikit_learn():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((200, 500)).astype(np.float32) + 3.0
    Y = rng.standard_normal((200, 4)) * [1e-3, 1.0, 1e3, 1e6]
    path = omp_path(X, Y, 40)
    for target in range(4):
        atoms, coef = oracle(X, Y[:, target], 40)
        np.testing.assert_array_equal(path.support[target], atoms)
        np.testing.assert_allclose(path.coefficients(40)[0][target], coef[-1], rtol=1e-8)


@pytest.mark.parametrize("sparsity", [0, 1, 4, 9])
def test_errors_and_coefficients_are_those_of_a_refit(sparsity):
    rng = np.random.default_rng(5)
    X, latent = relu_features(rng, 200, 300)
    Y = 40 + 3 * latent[:, :4] ** 2
    path = omp_path(X[:120], Y[:120], 10, heldout={"val": (X[120:], Y[120:])})
    values, intercept = path.coefficients(sparsity)
    for target in range(4):
        atoms = path.support[target, :sparsity]
        coef, constant = refit(X[:120], Y[:120, target], atoms)
        np.testing.assert_allclose(values[target, :sparsity], coef, rtol=1e-7)
        assert not values[target, sparsity:].any()
        assert intercept[target] == pytest.approx(constant, rel=1e-9)
        fitted = constant + X[:, atoms].astype(np.float64) @ coef
        error = (Y[:, target] - fitted) ** 2
        assert path.mse["train"][target, sparsity] == pytest.approx(error[:120].mean(), rel=1e-9)
        assert path.mse["val"][target, sparsity] == pytest.approx(error[120:].mean(), rel=1e-9)
    predicted = path.predict(X[120:], sparsity)
    measured = ((predicted - Y[120:]) ** 2).mean(axis=0)
    np.testing.assert_allclose(measured, path.mse["val"][:, sparsity], rtol=1e-9)
    with pytest.raises(ValueError, match=rf"X needs shape \(n_samples, {X.shape[1]}\), found"):
        path.predict(X[:, 1:], sparsity)


def test_planted_sparse_solutions_are_found():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((300, 1000)).astype(np.float32)
    planted = [rng.choice(1000, 6, replace=False) for _ in range(8)]
    weights = rng.uniform(1.0, 2.0, (8, 6)) * rng.choice([-1, 1], (8, 6))
    Y = np.column_stack([X[:, a].astype(float) @ w for a, w in zip(planted, weights, strict=True)])
    path = omp_path(X, Y + 5.0, 12)
    np.testing.assert_array_equal(path.n_atoms, 6)
    values, intercept = path.coefficients(path.n_atoms)
    for target in range(8):
        found = dict(zip(path.support[target, :6], values[target, :6], strict=True))
        assert found == pytest.approx(dict(zip(planted[target], weights[target], strict=True)))
    np.testing.assert_allclose(intercept, 5.0)
    assert (path.support[:, 6:] == -1).all()
    assert path.mse["train"][:, 6:].max() < 1e-20


def test_each_target_goes_its_own_way():
    rng = np.random.default_rng(8)
    X, latent = relu_features(rng, 90, 200)
    Y = latent[:, :6]
    Y[:, 2] = 3.0  # constant: stops at once and must not stop the others
    together = omp_path(X, Y, 15)
    for target in range(6):
        alone = omp_path(X, Y[:, target], 15)
        np.testing.assert_array_equal(together.support[target], alone.support[0])
        np.testing.assert_allclose(together.mse["train"][target], alone.mse["train"][0])


def test_best_sparsity_is_the_smallest_at_the_least_error():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((60, 40)).astype(np.float32)
    y = 2.0 * X[:, 3].astype(float)
    path = omp_path(X[:40], y[:40], 10, heldout={"val": (X[40:], y[40:])})
    assert path.best_sparsity("val").tolist() == [1]


class TestOptions:
    def test_the_edge_is_where_more_atoms_could_do_better(self):
        rng = np.random.default_rng(18)
        X = rng.standard_normal((90, 12)).astype(np.float32)
        y = X.astype(float) @ np.arange(1.0, 13.0)
        held = {"val": (X[60:], y[60:])}
        assert omp_path(X[:60], y[:60], 5, heldout=held).at_edge("val").tolist() == [True]
        assert omp_path(X[:60], y[:60], 12, heldout=held).at_edge("val").tolist() == [False]
        assert omp_path(X[:60], y[:60], 20, heldout=held).at_edge("val").tolist() == [False]

    def test_patience_stops_each_target_by_its_held_out_error(self):
        rng = np.random.default_rng(19)
        X = rng.standard_normal((140, 300)).astype(np.float32)
        Y = X[:, :4].astype(float) + rng.standard_normal((140, 4)) * [0.1, 1.0, 3.0, 9.0]
        held = {"val": (X[100:], Y[100:])}
        full = omp_path(X[:100], Y[:100], 40, heldout=held)
        found = omp_path(X[:100], Y[:100], 40, heldout=held, patience=5)
        assert found.options.patience == 5
        for target in range(4):
            errors = full.mse["val"][target]
            best = [int(np.argmin(errors[: size + 1])) for size in range(41)]
            stop = next((s for s in range(41) if s - best[s] >= 5), 40)
            assert found.n_atoms[target] == stop
            np.testing.assert_array_equal(found.support[target, :stop], full.support[target, :stop])
            assert (found.support[target, stop:] == -1).all()
            np.testing.assert_allclose(found.mse["val"][target, : stop + 1], errors[: stop + 1])
            assert (found.mse["val"][target, stop:] == found.mse["val"][target, stop]).all()
        assert len(set(found.n_atoms)) > 1

    def test_what_was_used_is_recorded(self):
        X = np.random.default_rng(20).standard_normal((9, 4)).astype(np.float32)
        X[:, 2] = 0
        used = omp_path(X, np.arange(9.0), 3).options
        assert used == Options(3, 1, None, "cpu", "float32", 4, 3)

    def test_out_of_range(self):
        X, y = np.eye(4, dtype=np.float32), np.arange(4.0)
        with pytest.raises(ValueError, match="min_active must be at least 1, not 0"):
            omp_path(X, y, 2, min_active=0)
        with pytest.raises(ValueError, match=r"max_atoms must be a whole number, not 2\.0"):
            omp_path(X, y, 2.0)
        with pytest.raises(ValueError, match="patience needs a held-out set"):
            omp_path(X, y, 2, patience=3)


MEMORY = """
import resource, sys
import numpy as np
from vrlprobe.probes.omp import omp_path
X = np.random.default_rng(0).standard_normal((40000, 600), np.float32).T
Y = np.asarray(X[:, :3], np.float64)
omp_path(X[:, :9], Y, 2, screening=sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
omp_path(X, Y, 20, screening=sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / X.nbytes)
"""


@pytest.mark.parametrize(("screening", "most"), [("float32", 1.25), ("bfloat16", 0.75)])
def test_memory_beside_the_data_is_a_copy_for_screening(screening, most):
    """The copy is as large as the data or half of it; a quarter more for blocks and bases."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, screening], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < most


def test_torch_and_numpy_give_the_same_and_inputs_stay_as_they_were():
    rng = np.random.default_rng(17)
    X, latent = relu_features(rng, 50, 80)
    before = X.copy(), latent.copy()
    from_numpy = omp_path(X, latent, 5)
    from_torch = omp_path(torch.from_numpy(X), torch.from_numpy(latent), 5)
    np.testing.assert_array_equal(from_numpy.support, from_torch.support)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(latent, before[1])


@pytest.mark.parametrize("layer", ["cnn4", "mlp1"])
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_on_real_activations_every_choice_equals_scikit_learn_up_to_ties(path, layer):
    with open_run(path) as run:
        samples = make_samples([run], 700)
        rows = samples.rows("train")
        agent = run.agent(int(run.frames[-1]))
    X = extract_activations(agent, samples.observations(rows), [layer])[layer]
    Y = samples.states[rows][:, [0, -1]]
    found = omp_path(X, Y, 8)
    for target in range(2):
        agreement(found, X, Y[:, target], target)


def check_path(path: OmpPath, X, Y):
    """What holds for every path, whatever the data."""
    for target in range(Y.shape[1]):
        size = path.n_atoms[target]
        atoms = path.support[target]
        assert (atoms[:size] >= 0).all()
        assert (atoms[size:] == -1).all()
        assert len(set(atoms[:size])) == size
        errors = path.mse["train"][target]
        assert (np.diff(errors) <= 1e-9 * errors[0]).all()
    residual = Y - path.predict(X, path.n_atoms)
    assert abs(residual.mean(axis=0)).max() <= 1e-7 * (1 + abs(Y).max())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 15), st.integers(1, 3), st.integers(1, 14), st.integers(0)
)
def test_any_small_integer_data_gives_a_valid_path(n_samples, n_features, n_targets, atoms, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, (n_samples, n_features)).astype(np.float32)
    Y = rng.integers(-3, 4, (n_samples, n_targets)).astype(np.float64)
    check_path(omp_path(X, Y, atoms), X, Y)
