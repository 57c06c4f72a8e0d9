"""A synthetic result of a probe."""

import json

import numpy as np
import xarray as xr

LAYERS = ["cnn0", "cnn1", "cnn4", "mlp0", "mlp2"]
COMPONENTS = ["height", "orientations[0]", "torso_velocity", "still"]


def probed(runs=("seed1",), frames=(0, 1000, 2000), returns=None):
    """R² at random, the last component constant; the same return at every frame."""
    rng = np.random.default_rng(0)
    dims = ("run", "frame", "layer", "component")
    shape = (len(runs), len(frames), len(LAYERS), len(COMPONENTS))
    r2 = rng.uniform(-0.2, 1.0, shape)
    r2[..., 3] = np.nan
    ends = np.array(returns or [123.4] * len(runs))
    return xr.Dataset(
        {
            "test_r2": (dims, r2),
            "test_mse": (dims, 1 - np.nan_to_num(r2, nan=1.0)),
            "sparsity": (dims, rng.integers(1, 50, shape)),
            "mean_mse": (("run", "component"), np.ones((len(runs), len(COMPONENTS)))),
            "episode_return": (
                ("run", "frame"),
                np.tile(ends[:, None], len(frames)),
            ),
            "final_return": ("run", ends),
            "checkpoint": (
                ("run", "frame"),
                np.array([[f"{run} at {frame}" for frame in frames] for run in runs], object),
            ),
        },
        coords={
            "run": list(runs),
            "frame": list(frames),
            "layer": LAYERS,
            "component": COMPONENTS,
        },
        attrs={
            "vrlprobe": "probe",
            "samples": "abc",
            "task": "walker_walk",
            "configs": json.dumps({run: {"good_return": 900, "bad_return": 30} for run in runs}),
        },
    )
