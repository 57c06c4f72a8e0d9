"""How alike the layers of checkpoints are."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

SIMILARITY = Schema(
    "similarity",
    {
        "cka": Variable(
            ("run", "frame", "other_run", "other_frame", "layer"),
            np.nan,
            "linear centred kernel alignment, unbiased",
            "1",
        ),
        "episode_return": Variable(
            ("run", "frame"), np.nan, "mean return of the checkpoint's rollout", "reward"
        ),
        "final_return": Variable(("run",), np.nan, "last known mean return of the run", "reward"),
        "checkpoint": Variable(("run", "frame"), "", "SHA-256 of the checkpoint's parameters"),
    },
    needed=("run", "frame", "layer", "checkpoint"),
)
