"""How inits are probed and what becomes of their runs."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

MEASURES = {
    "success": "share of good runs",
    "return": "final return",
    "gain": "final return minus that of the init itself, of the evaluation at frame 0",
    "threshold_frames": "frames to the first evaluation with a return from the threshold on, at "
    "most those to which all runs are evaluated",
    "area_under_curve": "area under the learning curve to that frame, divided by its frames",
}

PREDICT = Schema(
    "predict",
    {
        "error": Variable(
            ("init", "layer", "component"), np.nan, "test_mse / variance before the training", "1"
        ),
        "outcome": Variable(
            ("init", "measure"),
            np.nan,
            "mean over its runs: share of good ones, final return, gain, frames to the threshold, "
            "area",
        ),
        "median_frames": Variable(
            ("init", "bound"),
            np.nan,
            "Kaplan and Meier's median of the frames to the threshold",
            "frames",
        ),
        "runs": Variable(("init",), 0, "trainings from this init", "1"),
        "correlation": Variable(
            ("layer", "component", "measure", "bound"),
            np.nan,
            "Spearman's rank correlation of error and outcome over inits, 95% bootstrap interval",
            "1",
        ),
        "p": Variable(
            ("layer", "component", "measure"),
            np.nan,
            "share of permutations of the inits with a correlation at least as far from 0",
            "1",
        ),
    },
    needed=(),
    labels={"measure": MEASURES},
)
