"""The network as probe: what it refuses."""

import numpy as np
import pytest

from vrlprobe.probes.mlp import mlp_fit


@pytest.mark.parametrize("spoilt", ["X", "Y"])
def test_a_held_out_set_without_a_finite_error_is_refused(spoilt):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((60, 4)).astype(np.float32), rng.standard_normal((60, 1))
    far = {name: np.full_like(values[:10], 3e38) for name, values in (("X", X), ("Y", Y))}
    held = {"X": X[:10], "Y": Y[:10], spoilt: far[spoilt]}
    with pytest.raises(ValueError, match="the error on held-out set 'val' is never finite: its "):
        mlp_fit(X, Y, heldout={"val": (held["X"], held["Y"])}, epochs=2)
