"""Activations and states of samples, side by side in one result."""

import numpy as np

from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses import activations
from vrlprobe.results.file import load_result, save_result


def test_activations_and_states_side_by_side(other, samples, tmp_path):
    result = activations(other, samples, frame=1000, layers=["mlp1", "cnn4"])
    assert set(result.data_vars) == {"cnn4", "mlp1", "state"}
    everything = samples.observations(np.arange(len(samples)))
    expected = extract_activations(other.agent(1000), everything, ["mlp1"])["mlp1"]
    np.testing.assert_array_equal(result["mlp1"].values, expected)
    np.testing.assert_array_equal(result["state"].values, samples.states)
    assert (result["split"] == "test").sum() == len(samples.rows("test"))
    assert result.attrs["checkpoint"] == other.digest(1000)
    save_result(result, tmp_path / "a.nc")
    assert load_result(tmp_path / "a.nc").identical(result)
