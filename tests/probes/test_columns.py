"""The rough scores' bound against exact scores, and which columns are candidates."""

from pathlib import Path

import numpy as np
import pytest
import torch
from probe_data import relu_features, unit_columns

from vrlprobe.agents.activations import extract_activations
from vrlprobe.probes import columns as module
from vrlprobe.probes.arrays import BLOCK
from vrlprobe.probes.columns import SCREENING, Columns, fastest_precision
from vrlprobe.probes.omp import omp_path
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURE = Path(__file__).parents[2] / "fixtures" / "walker_walk-learned.h5"
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def hard_columns(rng):
    """Columns that rounding hurts: far means, single firings, all sizes, steps, tiny remainders."""
    plain, _ = relu_features(rng, 300, 400)
    far = rng.standard_normal((300, 50)) + 10.0 ** rng.uniform(1, 6, 50)
    single = np.zeros((300, 50))
    single[rng.integers(0, 300, 50), np.arange(50)] = rng.uniform(0.1, 9, 50)
    sized = rng.standard_normal((300, 50)) * 10.0 ** rng.uniform(-30, 30, 50)
    steps = (rng.random((300, 50)) > 0.5) * (1 + 2.0**-9)
    return np.hstack([plain, far, single, sized, steps]).astype(np.float32)


def real_columns():
    with open_run(FIXTURE) as run:
        samples = make_samples([run], 400)
        observations = samples.observations(samples.rows("train"))
        found = extract_activations(run.agent(int(run.frames[-1])), observations, ["cnn0", "cnn4"])
    return np.hstack(list(found.values()))


@pytest.fixture(scope="module")
def kinds():
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((300, 60)) + 10.0 ** rng.uniform(1, 12, 60)
    return {"hard": hard_columns(rng), "float64": wide, "real": real_columns()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("screening", SCREENING)
@pytest.mark.parametrize("kind", ["hard", "float64", "real"])
def test_no_rough_score_is_off_by_more_than_its_bound(kinds, kind, screening, device):
    X = kinds[kind]
    columns = Columns(torch.from_numpy(X).to(device), 1, screening)
    live = columns.live.cpu().numpy()
    centred = X[:, live].astype(np.float64) - X[:, live].astype(np.float64).mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=0)
    rng = np.random.default_rng(1)
    residuals = rng.standard_normal((9, len(X)))
    residuals[4:] = unit[:, rng.choice(len(live), 5)].T + 0.1 * residuals[4:] / len(X) ** 0.5
    residuals -= residuals.mean(axis=1, keepdims=True)
    residuals /= np.linalg.norm(residuals, axis=1, keepdims=True)
    scores, margin = columns.screen(torch.from_numpy(residuals).to(device))
    rough = scores.cpu().numpy().astype(np.float64)
    allowed = margin.cpu().numpy()[:, None] + columns.error.cpu().numpy()
    allowed = allowed + columns.rounding * rough
    off = np.abs(rough - np.abs(residuals @ unit))
    assert (off <= allowed).all()
    assert np.median(allowed) < {"float32": 1e-3, "float16": 2e-3, "bfloat16": 2e-2}[screening]


@pytest.mark.parametrize("screening", ["bfloat16", "float16", "float32"])
def test_the_best_column_is_always_among_the_contenders(kinds, screening):
    X = kinds["real"]
    live, unit, _ = unit_columns(X)
    columns = Columns(torch.from_numpy(X), 1, screening)
    np.testing.assert_array_equal(columns.live, live)
    rng = np.random.default_rng(2)
    residuals = rng.standard_normal((20, len(X)))
    residuals -= residuals.mean(axis=1, keepdims=True)
    residuals /= np.linalg.norm(residuals, axis=1, keepdims=True)
    taken = rng.choice(len(live), (20, 30))
    exact = np.abs(residuals @ unit)
    np.put_along_axis(exact, taken, -1.0, axis=1)
    target, row = columns.contenders(torch.from_numpy(residuals), torch.from_numpy(taken))
    pairs = set(zip(target.tolist(), row.tolist(), strict=True))
    assert {(t, int(best)) for t, best in enumerate(exact.argmax(axis=1))} <= pairs
    assert not any((t, int(row)) in pairs for t, rows in enumerate(taken) for row in rows)


def signs(values):
    """The signs of values (n,), n even, as +-1 with sum 0: the smallest values give way."""
    found = np.where(values >= np.median(values), 1.0, -1.0)
    assert found.sum() == 0
    return found


@pytest.mark.parametrize("screening", ["bfloat16", "float16"])
def test_the_residuals_rounding_is_in_the_bound(screening):
    """Columns of signs are copied exactly, so that only the residual's rounding, along them, is
    left; it swaps the order of two that nearly tie."""
    rng = np.random.default_rng(7)
    close = {"bfloat16": 1e-3, "float16": 1e-4}[screening]
    swapped = 0
    for _ in range(20_000):
        residual = rng.standard_normal(256)
        residual = (residual - residual.mean()) / np.linalg.norm(residual - residual.mean())
        rounded = torch.from_numpy(residual).to(SCREENING[screening]).double().numpy()
        along, base = signs(rounded[128:] - residual[128:]), signs(rng.standard_normal(128))
        X = np.stack([np.append(base, -along), np.append(base, along)], axis=1)
        exact = np.abs(X.T @ residual) / 16
        if not 0 < exact[0] - exact[1] < close:
            continue
        columns = Columns(torch.from_numpy(X.astype(np.float32)), 1, screening)
        scores, margin = columns.screen(torch.from_numpy(residual[None]))
        rough = scores[0].numpy()
        swapped += int(rough[0] < rough[1])
        allowed = margin.numpy() + columns.error.numpy() + columns.rounding * rough
        assert (np.abs(rough - exact) <= allowed).all()
        taken = torch.zeros((1, 0), dtype=torch.int64)
        assert 0 in columns.contenders(torch.from_numpy(residual[None]), taken)[1]
    assert swapped > 3


@pytest.mark.parametrize("device", DEVICES)
def test_every_precision_and_device_gives_the_same_path(kinds, device):
    X = kinds["real"]
    Y = np.random.default_rng(3).standard_normal((len(X), 6)) + X[:, -7:-1]
    first = omp_path(X, Y, 30, screening="float32")
    for screening in SCREENING:
        other = omp_path(X, Y, 30, screening=screening, device=device)
        assert other.options.screening == screening
        assert other.options.device.startswith(device)
        np.testing.assert_array_equal(other.support, first.support)
        np.testing.assert_allclose(other.mse["train"], first.mse["train"], rtol=1e-9)


@pytest.mark.parametrize("screening", SCREENING)
def test_columns_that_fire_on_one_sample_tie_and_the_lowest_index_is_taken(screening):
    """Whatever their size they are collinear once centred; the next best is another sample's."""
    rng = np.random.default_rng(8)
    X = np.zeros((200, 40), np.float32)
    where = np.repeat([17, 80, 3, 150], 10)
    X[where, np.arange(40)] = rng.uniform(0.01, 30, 40)
    y = 0.01 * rng.standard_normal(200)
    y[[17, 80, 3, 150]] = [1.0, 4.0, 3.0, 2.0]
    path = omp_path(X[:, ::-1], y, 6, screening=screening)
    assert path.support.tolist() == [[20, 10, 0, 30, -1, -1]]


def test_reduced_float32_products_are_not_used(kinds, monkeypatch):
    X = torch.from_numpy(kinds["hard"])
    residual = torch.randn(1, 300, dtype=torch.float64, generator=torch.manual_seed(0))
    columns = Columns(X, 1, "float32")
    expected = columns.screen(residual)[0]
    mkldnn, found = torch.backends.mkldnn.matmul, []

    def watched(*factors):
        found.append(mkldnn.fp32_precision)
        return torch.nn.functional.linear(*factors)

    monkeypatch.setattr(module, "linear", watched)
    mkldnn.fp32_precision = "bf16"
    try:
        scores = columns.screen(residual)[0]
    finally:
        mkldnn.fp32_precision = "none"
    assert found == ["ieee"]
    torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)


def test_the_order_in_memory_changes_nothing(kinds):
    X = kinds["real"]
    Y = np.random.default_rng(4).standard_normal((len(X), 3))
    rows = omp_path(X, Y, 20)
    features = omp_path(np.ascontiguousarray(X.T).T, Y, 20)
    reversed_twice = omp_path(X[:, ::-1][:, ::-1], Y, 20)
    np.testing.assert_array_equal(rows.support, features.support)
    np.testing.assert_array_equal(rows.support, reversed_twice.support)


def test_blocks_change_nothing(kinds, monkeypatch):
    X = kinds["real"]
    Y = np.random.default_rng(5).standard_normal((len(X), 3))
    whole = omp_path(X, Y, 20)
    monkeypatch.setitem(BLOCK, "cpu", 1000)
    np.testing.assert_array_equal(omp_path(X, Y, 20).support, whole.support)


def test_min_active_counts_the_training_samples_that_differ_from_zero():
    rng = np.random.default_rng(6)
    X = np.zeros((40, 6), np.float32)
    for column, count in enumerate([1, 2, 9, 10, 11, 40]):
        X[rng.permutation(40)[:count], column] = rng.uniform(1, 2, count)
    assert Columns(torch.from_numpy(X), 10, "float32").live.tolist() == [3, 4, 5]
    path = omp_path(X, X[:, :2].sum(axis=1), 6, min_active=10)
    assert set(path.support[0]) <= {-1, 3, 4, 5}
    assert (path.options.min_active, path.options.n_candidates) == (10, 3)


class TestTiming:
    def times(self, monkeypatch, **seconds):
        """A clock that moves by what each precision takes."""
        now = [0.0]

        def product(unit, _):
            now[0] += next(s for name, s in seconds.items() if SCREENING[name] == unit.dtype)
            return unit[:1]

        monkeypatch.setattr(module, "linear", product)
        monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
        fastest_precision.cache_clear()
        try:
            return fastest_precision("cpu", 1)
        finally:
            fastest_precision.cache_clear()

    def test_the_fastest_is_taken(self, monkeypatch):
        assert self.times(monkeypatch, float32=6.0, bfloat16=1.0, float16=3.0) == "bfloat16"
        assert self.times(monkeypatch, float32=6.0, bfloat16=3.0, float16=1.0) == "float16"

    def test_without_fast_half_precision_it_is_float32(self, monkeypatch):
        assert self.times(monkeypatch, float32=1.0, bfloat16=1.7, float16=20.0) == "float32"
        assert self.times(monkeypatch, float32=1.0, bfloat16=0.9, float16=20.0) == "float32"

    def test_small_data_are_not_timed(self, monkeypatch):
        monkeypatch.setattr(module, "fastest_precision", lambda *_: pytest.fail("timed"))
        assert Columns(torch.randn(50, 30), 1, "auto").screening == "float32"

    def test_an_unknown_precision(self):
        with pytest.raises(ValueError, match=r"screening is auto, float32, .*, not 'int8'"):
            Columns(torch.randn(5, 3), 1, "int8")
