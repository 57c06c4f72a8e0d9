"""A small result of a probe."""

import numpy as np
import pytest
import xarray as xr

from vrlprobe.results.file import provenance


@pytest.fixture
def dataset():
    checkpoint = xr.DataArray(np.array([["a0", "a1"]], object), dims=("run", "frame"))
    scores = xr.Dataset(
        {
            "test_r2": (("run", "frame"), np.array([[0.5, np.nan]])),
            "sparsity": (("run", "frame"), np.array([[3, -1]])),
            "at_edge": (("run", "frame"), np.array([[True, False]])),
        },
        coords={"run": ["seed3"], "frame": np.array([0, 1000])},
        attrs=provenance("probe", {"max_atoms": 5}),
    )
    return scores.expand_dims(layer=["mlp1"], component=["height"]).assign(checkpoint=checkpoint)
