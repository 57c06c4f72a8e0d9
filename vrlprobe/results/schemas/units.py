"""The units that a sparse probe chooses."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

PLACE = ("layer", "component")

UNITS = Schema(
    "atoms",
    {
        "unit": Variable(
            (*PLACE, "atom"), -1, "activation chosen, flat in channel, row, column; -1 for none"
        ),
        "channel": Variable((*PLACE, "atom"), -1, "channel of the activation"),
        "weight": Variable(
            (*PLACE, "atom"),
            np.nan,
            "absolute coefficient x deviation of the activation / of the state",
            "1",
        ),
        "box": Variable(
            (*PLACE, "atom", "edge"),
            -1,
            "pixels that it sees; bottom and right are exclusive",
            "pixels",
        ),
        "field": Variable(
            (*PLACE, "y", "x"), 0.0, "weights spread over the pixels that the atoms see", "1"
        ),
        "sparsity": Variable(PLACE, 0, "number of atoms, chosen on the validation samples", "1"),
        "test_r2": Variable(PLACE, np.nan, "1 - test error / variance of the test samples", "1"),
        "image": Variable(
            (
                "y",
                "x",
                "colour",
            ),
            0,
            "newest image of one test observation",
            "1",
        ),
    },
    needed=("layer", "component"),
)
