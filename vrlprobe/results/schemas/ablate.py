"""What a layer without a component does to an agent."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

EACH = ("run", "condition", "draw")

ABLATE = Schema(
    "ablate",
    {
        "episode_return": Variable((*EACH, "episode"), np.nan, "return of an episode", "reward"),
        "test_r2": Variable(EACH, np.nan, "R² of a probe that is fitted after the ablation", "1"),
        "variance_share": Variable(
            EACH, np.nan, "share of the layer's variance that is removed", "1"
        ),
        "action_spread": Variable(
            EACH, np.nan, "standard deviation of the action over the samples", "1"
        ),
        "action_rmse": Variable(
            EACH, np.nan, "root mean square change of the action over the samples", "1"
        ),
        "return_change": Variable(
            ("run", "condition", "bound"),
            np.nan,
            "mean change of return on the same initial states, 95% bootstrap interval over "
            "episodes",
            "reward",
        ),
        "beyond": Variable(
            ("run", "condition", "bound"),
            np.nan,
            "change of return under the probe's ablation minus that under this condition, 95% "
            "bootstrap interval over episodes",
            "reward",
        ),
        "mean_change": Variable(
            ("condition", "bound"),
            np.nan,
            "mean of return_change over runs, 95% bootstrap interval over runs",
            "reward",
        ),
        "mean_beyond": Variable(
            ("condition", "bound"),
            np.nan,
            "mean of beyond over runs, 95% bootstrap interval over runs",
            "reward",
        ),
        "checkpoint": Variable(("run",), "", "SHA-256 of the checkpoint's parameters"),
        "at_frame": Variable(("run",), -1, "frame of the checkpoint", "frames"),
    },
    needed=("run", "condition"),
    labels={
        "condition": {
            "intact": "nothing is removed",
            "probe": "the direction of the probe",
            "random": "control: directions that remove as much variance as the probe's",
            "shuffled": "control: directions of probes of other episodes' states",
            "units": "control: the strongest units, set to their means",
        },
    },
)
