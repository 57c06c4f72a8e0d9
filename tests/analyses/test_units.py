"""The atoms of a layer are those that the probe study fits, and their places add up."""

import numpy as np
import pytest

from vrlprobe.analyses import probe
from vrlprobe.analyses._units import units
from vrlprobe.errors import UnknownLayerError
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples


@pytest.fixture
def run(make_run):
    with open_run(make_run("seed1.h5", seed=1, frames=(0, 1000))) as found:
        yield found


@pytest.fixture
def samples(make_run):
    paths = [make_run(f"seed{i}.h5", seed=i, frames=(0, 1000)) for i in (2, 3)]
    with open_run(paths[0]) as one, open_run(paths[1]) as other:
        yield make_samples([one, other])


def test_sparsity_and_score_are_those_of_the_probe(run, samples) -> None:
    found = units(run, samples, layers=("cnn2", "cnn4"), max_atoms=6)
    probed = probe(run, samples, layers=["cnn2", "cnn4"], max_atoms=6).isel(run=0, frame=0)
    np.testing.assert_array_equal(found["sparsity"], probed["sparsity"])
    np.testing.assert_allclose(found["test_r2"], probed["test_r2"])
    assert ((found["unit"] >= 0).sum("atom") == found["sparsity"]).all()


def test_the_weights_are_spread_over_what_the_atoms_see(run, samples) -> None:
    found = units(run, samples, layers=("cnn3",), max_atoms=6).isel(layer=0)
    np.testing.assert_allclose(found["field"].sum(["y", "x"]), found["weight"].sum("atom"))
    seen = found["box"].where(found["unit"] >= 0)
    assert (seen.sel(edge="bottom") - seen.sel(edge="top")).max() == 11
    height = found.sel(component="height")
    top, left, bottom, right = height["box"].values[0]
    assert (height["field"].values[top:bottom, left:right] > 0).all()


def test_one_atom_weighs_as_much_as_it_correlates(run, samples) -> None:
    """With a single atom the standardised coefficient is the correlation."""
    found = units(run, samples, layers=("cnn4",), max_atoms=1)
    probed = probe(run, samples, layers=["cnn4"], max_atoms=1).isel(run=0, frame=0, layer=0)
    variance = samples.states[samples.rows("train")].var(axis=0)
    for place, name in enumerate(samples.components):
        if found["sparsity"].sel(component=name).item():
            error = probed["train_mse"].sel(component=name).item()
            weight = found["weight"].sel(component=name).values[0, 0]
            assert weight**2 == pytest.approx(1 - error / variance[place])


def test_only_convolutions_have_places(run, samples) -> None:
    with pytest.raises(UnknownLayerError, match="no place in the image"):
        units(run, samples, layers=("mlp0",))
