"""Every CNN played with every MLP."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

EACH = ("cnn", "mlp", "adapter")

STITCH = Schema(
    "stitch",
    {
        "episode_return": Variable(
            (*EACH, "episode"), np.nan, "return of an episode played by the pair", "reward"
        ),
        "mean_return": Variable(
            (*EACH, "bound"), np.nan, "mean over the episodes, 95% bootstrap interval", "reward"
        ),
        "relative_return": Variable(
            ("part", *EACH, "bound"),
            np.nan,
            "mean_return as a share of that of the agent that the CNN or MLP is from, on the same "
            "starts; 95% bootstrap interval over paired episodes",
            "1",
        ),
        "action_spread": Variable(
            EACH, np.nan, "standard deviation of the action over the samples", "1"
        ),
        "numerical_rank": Variable(EACH, np.nan, "numerical rank of mlp1", "1"),
        "action_mse": Variable(
            ("part", *EACH),
            np.nan,
            "mean squared difference from the actions of the agent that the CNN or MLP is from",
            "1",
        ),
        "action_r2": Variable(
            ("part", *EACH),
            np.nan,
            "R² for the actions of the agent that the CNN or MLP is from, all actions together",
            "1",
        ),
        "adapter_r2": Variable(
            EACH, np.nan, "R² of the linear map's features on the test samples", "1"
        ),
        "adapter_penalty": Variable(
            EACH, np.nan, "its penalty, as a share of the mean variance of an axis", "1"
        ),
        "adapter_at_edge": Variable(
            EACH, False, "the penalty is the smallest or largest that was tried"
        ),
        "donor_run": Variable(
            ("donor",), "", "run that the checkpoint is of; of blank parts, whose sizes"
        ),
        "donor_frame": Variable(
            ("donor",), -1, "frame of the checkpoint; -1 for blank parts", "frames"
        ),
        "trained": Variable(("donor",), False, "the checkpoint has seen an update"),
        "recorded_return": Variable(
            ("donor",), np.nan, "mean return of the checkpoint's own rollout", "reward"
        ),
        "n_features": Variable(("donor",), 0, "width of the interface between CNN and MLP", "1"),
        "checkpoint": Variable(("donor",), "", "SHA-256 of the checkpoint's parameters"),
    },
    needed=("cnn", "mlp", "donor"),
)
