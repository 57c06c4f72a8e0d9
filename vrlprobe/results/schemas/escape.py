"""When metrics switch at an escape from collapse."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

ESCAPE = Schema(
    "escape",
    {
        "separation": Variable(
            ("metric",),
            np.nan,
            "chance that of two checkpoints the collapsed one has the larger value",
            "1",
        ),
        "threshold": Variable(
            ("metric",), np.nan, "that tells collapsed from healthy checkpoints best"
        ),
        "collapsed_above": Variable(
            ("metric",), False, "whether collapsed checkpoints lie above it"
        ),
        "lag": Variable(
            ("metric", "run"),
            np.nan,
            "frames from the escape to the metric's lasting switch, negative before it",
            "frames",
        ),
        "escape": Variable(
            ("run",), -1, "first frame after collapse, by the spread of actions", "frames"
        ),
    },
    needed=("metric", "run"),
)
