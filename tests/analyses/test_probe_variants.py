"""Further fits of a probe result: splits, several kinds of probe, the control of one width."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses import probe
from vrlprobe.analyses.shared import jobs
from vrlprobe.analyses.shared.fits import WIDTH_DRAWS, random_units
from vrlprobe.analyses.shared.variants import over_runs
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.probes.omp import omp_path
from vrlprobe.probes.registry import ProbeSettings
from vrlprobe.results.combine import combine_results
from vrlprobe.stats.bootstrap import mean_interval
from vrlprobe.stats.splits import resampled_interval

OPTIONS = {"layers": ["cnn4", "mlp0"], "max_atoms": 4}


class TestSplits:
    def test_each_is_a_probe_of_its_own_split_and_the_first_the_sets_own(self, other, samples):
        found = probe(other, samples, splits=3, **OPTIONS)
        plain = probe(other, samples, **OPTIONS)
        xr.testing.assert_identical(found[list(plain)].drop_attrs(), plain.drop_attrs())
        for split in range(3):
            assigned = found["episode_split"].sel(run="other", split=split).values
            one = probe(other, replace(samples, split=assigned), **OPTIONS)
            for name in ("test_mse", "test_r2"):
                expected = one[name].values
                np.testing.assert_array_equal(found[f"split_{name}"].sel(split=split), expected)
        medians = found["split_test_r2"].median("component").values[:, 0, 0]
        assert found["test_share"].item() == 2 / 12
        bounds = found["splits_r2"].values[0, 0].T
        mean, low, high = resampled_interval(medians, 2 / 12)
        np.testing.assert_allclose(bounds, [mean, low, np.minimum(high, 1)])

    def test_errors_of_an_episode_make_the_error_of_the_test_set(self, other, samples):
        found = probe(other, samples, splits=2, **OPTIONS).isel(run=0, frame=0)
        assigned, errors = found["episode_split"].values, found["episode_test_mse"]
        lengths = np.bincount(samples.episodes)
        times = (assigned == 2).sum(axis=0)
        assert np.isnan(errors.values[..., times == 0]).all()
        for split in (0, 1):
            only = (assigned[split] == 2) & (times == 1)
            if only.sum() == 2:
                weighted = np.average(errors.values[..., only], axis=-1, weights=lengths[only])
                expected = found["split_test_mse"].sel(split=split)
                np.testing.assert_allclose(weighted, expected, rtol=1e-5, atol=1e-20)
                return
        raise AssertionError("the two splits share test episodes: take another seed")

    @pytest.mark.parametrize("kind", ["ridge", "mlp"])
    def test_errors_of_episodes_by_other_probes(self, other, samples, kind):
        found = probe(other, samples, kind=kind, splits=2, layers=["mlp1"]).isel(run=0, frame=0)
        assigned = found["episode_split"].values
        times = (assigned == 2).sum(axis=0)
        errors = found["episode_test_mse"].values[0]
        total = sum(np.bincount(samples.episodes)[assigned[s] == 2].sum() for s in (0, 1))
        weights = np.bincount(samples.episodes) * times
        pooled = np.nansum(errors * weights, axis=1) / total
        lengths = [np.bincount(samples.episodes)[assigned[s] == 2].sum() for s in (0, 1)]
        expected = np.average(found["split_test_mse"].values[:, 0], axis=0, weights=lengths)
        np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-20)

    def test_own_episodes_are_tested_on_in_none(self, good, samples):
        found = probe(good[0], samples, splits=4, layers=["mlp0"], max_atoms=1)
        assigned = found["episode_split"].values[0]
        own = samples.origin == 0
        assert not (assigned[:, own] == 2).any()
        tested = (samples.split == 2) & ~own
        assert ((assigned == 2).sum(axis=1) == tested.sum()).all()
        assert found["test_share"].item() == tested.sum() / (~own).sum()

    def test_runs_beside_splits(self, good, other, samples):
        options = {"frames": [1000], "layers": ["mlp0", "mlp1"], "max_atoms": 2, "keep_own": True}
        found = probe([*good, other], samples, splits=3, **options)
        medians = found["split_test_r2"].median("component").values[:, :, 0]
        both = over_runs(found)
        expected = resampled_interval(medians.mean(axis=1), 2 / 12)
        np.testing.assert_allclose(both["splits"].T[:2], expected[:2])
        expected = mean_interval(medians.mean(axis=0))
        np.testing.assert_allclose(both["runs"].T, expected)

    def test_kept_fits_are_those_of_their_split(self, other, samples, tmp_path, monkeypatch):
        count = []
        fit_layer = jobs.fit_layer
        monkeypatch.setattr(jobs, "fit_layer", lambda *given: count.append(0) or fit_layer(*given))
        probe(other, samples, cache=tmp_path, **OPTIONS)
        three = probe(other, samples, cache=tmp_path, splits=3, **OPTIONS)
        assert len(count) == 2 * 3
        probe(other, samples, cache=tmp_path, splits=2, **OPTIONS)
        assert len(count) == 2 * 3
        together = probe(other, samples, splits=3, n_jobs=2, **OPTIONS)
        assert together.identical(three)

    def test_what_cannot_be_split(self, good, samples):
        with pytest.raises(ValueError, match="splits must be at least 1"):
            probe(good[0], samples, splits=0)
        one = probe(good[0], samples, splits=2, **OPTIONS)
        plain = probe(good[1], samples, **OPTIONS)
        with pytest.raises(FormatError, match="different splits"):
            combine_results({"a": one, "b": plain})
        few = replace(samples, split=np.r_[1, 2, [0] * 10])
        with pytest.raises(SampleError, match="different splits cannot be made"):
            probe(good[0], few, splits=200, keep_own=True, **OPTIONS)


class TestKinds:
    def test_each_is_a_call_of_its_own(self, other, samples):
        kinds = ["ridge", "omp", "mlp"]
        found = probe(other, samples, kind=kinds, **OPTIONS)
        assert found["probe"].values.tolist() == kinds
        alone = {kind: probe(other, samples, kind=kind, **OPTIONS) for kind in kinds}
        for kind, one in alone.items():
            for name in ("val_mse", "test_mse", "test_r2", "sparsity"):
                np.testing.assert_array_equal(found[f"probe_{name}"].sel(probe=kind), one[name])
        names = list(alone["ridge"])
        xr.testing.assert_equal(found[names].drop_vars("probe", errors="ignore"), alone["ridge"])
        for layer in OPTIONS["layers"]:
            for component in ("height", "velocity[0]"):
                ends = {
                    kind: one.sel(layer=layer, component=component) for kind, one in alone.items()
                }
                linear = min(("ridge", "omp"), key=lambda kind: ends[kind]["val_mse"].item())
                gap = max(ends["mlp"]["test_r2"].item(), 0) - max(ends[linear]["test_r2"].item(), 0)
                shown = found["nonlinear_gap"].sel(layer=layer, component=component)
                assert shown.item() == pytest.approx(gap)

    def test_linear_ones_alone_have_no_gap(self, other, samples):
        found = probe(other, samples, kind=["omp", "ridge"], **OPTIONS)
        assert "nonlinear_gap" not in found
        assert "probe" not in probe(other, samples, kind=["omp"], **OPTIONS).dims

    def test_none_and_strange_ones(self, other, samples):
        with pytest.raises(ValueError, match="no kind of probe is asked for"):
            probe(other, samples, kind=[])
        with pytest.raises(
            ValueError, match="the kind of probe is one of omp, ridge, mlp, not 'x'"
        ):
            probe(other, samples, kind=["omp", "x"])


class TestWidth:
    def test_it_is_a_probe_of_the_same_columns(self, other, samples):
        found = probe(other, samples, controls="width", **OPTIONS).isel(run=0, frame=0, control=0)
        rows = {name: samples.rows(name) for name in ("train", "val", "test")}
        values = extract_activations(
            other.agent(3000), samples.observations(np.arange(len(samples))), ["cnn4"]
        )["cnn4"]
        train = values[rows["train"]]
        enough = (train != 0).sum(axis=0) >= len(train) // 100
        live = np.flatnonzero(enough & (np.ptp(train, axis=0) > 1e-6))
        errors = []
        for draw in range(WIDTH_DRAWS):
            order = np.random.default_rng(draw).permutation(len(live))[:10]  # mlp0 has 10 units
            units = np.sort(live[order])
            sets = {
                name: (values[part][:, units], samples.states[part]) for name, part in rows.items()
            }
            heldout = {name: sets[name] for name in ("val", "test")}
            path = omp_path(*sets["train"], 4, heldout=heldout, min_active=len(train) // 100)
            best = path.best_sparsity("val")
            errors.append(path.mse["test"][np.arange(len(best)), best])
        expected = np.mean(errors, axis=0)
        shown = found["control_test_mse"].sel(layer="cnn4")
        np.testing.assert_allclose(shown, expected, rtol=1e-6, atol=1e-20)
        narrowest = found.sel(layer="mlp0")
        np.testing.assert_allclose(narrowest["control_test_mse"], narrowest["test_mse"])

    def test_units_are_live_distinct_and_other_ones_in_every_draw(self):
        import torch

        train = torch.randn(200, 60, generator=torch.Generator().manual_seed(0))
        train[:, ::2] = 0.0
        train[0, 0] = 1.0  # active on one sample of 200
        drawn = random_units(train, ProbeSettings(), 12)
        assert all(len(set(units.tolist())) == 12 for units in drawn)
        assert all((units % 2 == 1).all() for units in drawn)
        assert len({tuple(units.tolist()) for units in drawn}) == WIDTH_DRAWS
        (every,) = random_units(train, ProbeSettings(), 40)
        assert every.tolist() == list(range(1, 60, 2))
        (dead,) = random_units(torch.zeros(50, 8), ProbeSettings(), 9)
        assert dead.tolist() == list(range(8))
