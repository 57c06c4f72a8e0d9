"""An agent with a donor's activations in one layer after another."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

PATCH = Schema(
    "patch",
    {
        "action_spread": Variable(
            ("run", "donor", "layer"),
            np.nan,
            "standard deviation of the run's action with the donor's activations in a layer",
            "1",
        ),
        "first_layer": Variable(
            ("run", "donor"),
            "",
            "layer from which on the action varies with the donor's activations; empty if from "
            "none",
        ),
        "own_spread": Variable(("run",), np.nan, "standard deviation of the run's own action", "1"),
        "donor_spread": Variable(
            ("donor",), np.nan, "standard deviation of the donor's own action", "1"
        ),
        "variation": Variable(
            ("run", "layer"),
            np.nan,
            "share of the layer's mean square that varies over the samples",
            "1",
        ),
        "donor_variation": Variable(
            ("donor", "layer"), np.nan, "the same of the donor's layer", "1"
        ),
        "at_frame": Variable(("run",), -1, "frame of the run's checkpoint", "frames"),
        "donor_frame": Variable(
            ("donor",), -1, "frame of the donor's checkpoint; -1 for blank networks", "frames"
        ),
    },
    needed=("run", "donor", "layer"),
)
