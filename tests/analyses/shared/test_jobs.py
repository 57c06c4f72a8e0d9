"""The work of a probe study: kept as it is made, shared among processes, put on a device."""

import json
import re
from typing import ClassVar

import numpy as np
import pytest
import torch

from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses import probe
from vrlprobe.analyses.shared import jobs as planning
from vrlprobe.errors import DeviceError
from vrlprobe.probes.omp import omp_path
from vrlprobe.runs.reader import open_run

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class TestCache:
    OPTIONS: ClassVar = {"frames": "all", "layers": ["cnn0", "mlp0", "mlp2"], "max_atoms": 3}

    @pytest.fixture
    def fitted(self, monkeypatch):
        """How many fits have been made, in a list of one."""
        count = [0]
        fit_layer = planning.fit_layer

        def counted(*arguments):
            count[0] += 1
            return fit_layer(*arguments)

        monkeypatch.setattr(planning, "fit_layer", counted)
        return count

    def test_a_second_call_fits_nothing(self, other, samples, tmp_path, fitted):
        first = probe(other, samples, cache=tmp_path, **self.OPTIONS)
        assert fitted == [1 + 3 * 2]
        assert probe(other, samples, cache=tmp_path, **self.OPTIONS).identical(first)
        assert fitted == [7]
        assert probe(other, samples, **self.OPTIONS).identical(first)

    def test_an_interrupted_call_goes_on(self, other, samples, tmp_path, fitted, monkeypatch):
        whole = probe(other, samples, **self.OPTIONS)
        fitted[0] = 0
        counted = planning.fit_layer

        def interrupted(*arguments):
            if fitted[0] == 4:
                raise KeyboardInterrupt
            return counted(*arguments)

        monkeypatch.setattr(planning, "fit_layer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            probe(other, samples, cache=tmp_path, **self.OPTIONS)
        monkeypatch.setattr(planning, "fit_layer", counted)
        assert probe(other, samples, cache=tmp_path, **self.OPTIONS).identical(whole)
        assert fitted == [7]

    def test_what_a_fit_depends_on(self, other, good, samples, tmp_path, fitted):
        def made(run, **changed):
            before = fitted[0]
            options = {"layers": ["cnn0", "mlp0"], "max_atoms": 3, **changed}
            probe(run, samples, cache=tmp_path, **options)
            return fitted[0] - before

        assert made(other) == 2
        assert made(other, frames=[0]) == 1  # the raw input is known
        assert made(other, max_atoms=2) == made(other, min_active=2) == 2
        assert made(other, kind="ridge") == made(other, components=["height"]) == 2
        assert made(other, controls=["shuffled"]) == 2
        assert made(other, controls=["blank"]) == 1
        assert made(good[0]) == 2  # its own test episodes are left out
        assert made(good[0], keep_own=True) == 1
        assert made(other) == 0

    def test_fits_of_other_code_are_made_again(self, other, samples, tmp_path, fitted, monkeypatch):
        options = {"layers": ["mlp0"], "max_atoms": 3, "cache": tmp_path}
        probe(other, samples, **options)
        monkeypatch.setattr(planning, "sources_digest", lambda names: "other")
        probe(other, samples, **options)
        assert fitted == [2]

    def test_a_damaged_part_is_made_again(self, other, samples, tmp_path, fitted):
        first = probe(other, samples, cache=tmp_path, **self.OPTIONS)
        for place, path in enumerate(sorted(tmp_path.rglob("*.json"))[:4]):
            text = path.read_text()
            other_number = re.sub(r"0\.\d", "0.9999", text, count=1)
            path.write_text(["", text[:-9], '{"digest": 0}', other_number][place])
        assert probe(other, samples, cache=tmp_path, **self.OPTIONS).identical(first)
        assert fitted == [7 + 4]

    def test_a_folder_that_cannot_be_written(self, other, samples, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.warns(UserWarning, match="parts cannot be kept in .*`cache` takes"):
            found = probe(other, samples, cache=tmp_path / "file", layers=["mlp0"], max_atoms=1)
        assert found.identical(probe(other, samples, layers=["mlp0"], max_atoms=1))


def test_processes_share_the_work_and_change_nothing(other, samples, tmp_path, monkeypatch):
    options = {"frames": "all", "max_atoms": 3, "controls": ["shuffled", "blank"]}
    alone = probe(other, samples, **options)
    seen = []
    together = probe(
        other, samples, n_jobs=2, track=lambda items: seen.extend(items) or items, **options
    )
    assert together.identical(alone)
    assert len(seen) == 2 * (1 + 3 * 7) + 7
    with pytest.raises(ValueError, match="n_jobs must be at least 1, or -1"):
        probe(other, samples, n_jobs=0, layers=["mlp0"])


def test_other_processes_find_a_run_after_a_change_of_folder(other, samples, monkeypatch):
    options = {"layers": ["mlp0", "mlp1"], "frames": [0, 1000], "max_atoms": 1}
    alone = probe(other, samples, **options)
    monkeypatch.chdir(other.path.parent)
    with open_run(other.path.name) as run:
        monkeypatch.chdir("/")
        assert probe(run, samples, n_jobs=2, **options).identical(alone)


def test_minus_one_is_every_core(other, samples, monkeypatch):
    asked = []
    monkeypatch.setattr(planning, "effective_n_jobs", lambda n_jobs: asked.append(n_jobs) or 1)
    probe(other, samples, n_jobs=-1, layers=["mlp0"], max_atoms=1)
    assert asked == [-1]


class TestDevice:
    def test_it_is_told(self, other, samples):
        result = probe(other, samples, layers=["mlp0"], max_atoms=1)
        assert json.loads(result.attrs["arguments"])["device"] == "cpu"

    @pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
    def test_one_that_cannot_compute_is_refused(self, other, samples, name):
        with pytest.raises(DeviceError, match=f"device '{name}' cannot be used here"):
            probe(other, samples, device=name)

    @pytest.mark.parametrize("device", DEVICES)
    def test_each_chooses_the_atoms_of_sparse_paths_on_the_processor(self, other, samples, device):
        found = probe(other, samples, layers=["mlp1"], max_atoms=6, device=device)
        taken = [samples.rows(name) for name in ("train", "val")]
        seen = [samples.observations(rows) for rows in taken]
        agent = other.agent(3000)
        X = [extract_activations(agent, images, ["mlp1"])["mlp1"] for images in seen]
        Y = [samples.states[rows] for rows in taken]
        path = omp_path(X[0], Y[0], 6, heldout={"val": (X[1], Y[1])})
        expected = path.best_sparsity("val")
        np.testing.assert_array_equal(found["sparsity"].values.ravel(), expected)
