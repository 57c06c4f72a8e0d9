"""Pairs of layers compared over runs, against counts by hand."""

import numpy as np
import pytest

from tests.figures.probed import probed
from vrlprobe.analyses._order import OVERALL, holm, order, runs_needed
from vrlprobe.errors import FormatError, SampleError, UnknownLayerError

RUNS = [f"seed{i}" for i in range(10)]


def test_shares_and_ratios_by_hand() -> None:
    result = probed(runs=RUNS, frames=(0, 1000))
    found = order(result, ["height"])
    last = result["test_mse"].sel(frame=1000, component="height")
    ours, theirs = last.sel(layer="cnn1").values, last.sel(layer="mlp0").values
    cell = found.sel(component="height", layer="cnn1", other="mlp0")
    assert cell["wins"].item() == (ours < theirs).mean()
    np.testing.assert_allclose(cell["ratio"], np.exp(np.log(ours / theirs).mean()))
    back = found.sel(component="height", layer="mlp0", other="cnn1")
    np.testing.assert_allclose(cell["ratio"] * back["ratio"], 1)
    assert cell["p"].item() == back["p"].item()
    assert found["component"].values.tolist() == [OVERALL, "height"]
    for asked in ("height", ["height", "height"]):  # one name by itself, or given twice
        assert order(result, asked).equals(found)


def test_a_layer_that_always_wins_is_significant_and_one_that_is_alike_is_not() -> None:
    result = probed(runs=RUNS, frames=(0,)).sel(layer=["cnn0", "cnn1", "cnn4"])
    result["test_mse"].loc[{"layer": "cnn4"}] = 1e-3
    found = order(result).sel(component="height")
    assert found["p"].sel(layer="cnn4", other="cnn0").item() == pytest.approx(3 * 2**-9)
    assert found["p"].sel(layer="cnn0", other="cnn1").item() > 0.05


def test_holms_correction_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1.0, 1.0])


def test_runs_needed_follow_from_the_number_of_pairs() -> None:
    assert runs_needed(2) == 6  # 2 / 2^6 < 0.05 < 2 / 2^5
    assert 28 * 2 / 2 ** runs_needed(8) < 0.05 < 28 * 2 / 2 ** (runs_needed(8) - 1)


def test_what_cannot_be_ordered() -> None:
    with pytest.raises(SampleError, match="at least two, found 1: seed1"):
        order(probed())
    with pytest.raises(SampleError, match="still is constant"):
        order(probed(runs=("a", "b")), ["still"])
    assert order(probed(runs=("a", "b")), [])["component"].values.tolist() == [OVERALL]
    with pytest.raises(FormatError, match="no component 'stil' here: did you mean still"):
        order(probed(runs=("a", "b")), ["stil"])
    with pytest.raises(UnknownLayerError, match="at least two layers, found cnn0"):
        order(probed(runs=("a", "b")).sel(layer=["cnn0"]))
