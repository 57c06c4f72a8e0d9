"""How early metrics tell the end of a run."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

FORECAST = Schema(
    "foretell",
    {
        "separation": Variable(
            ("metric", "frame"),
            np.nan,
            "chance that of two runs the one that ends badly has the larger value",
            "1",
        ),
        "accuracy": Variable(
            ("metric", "frame"),
            np.nan,
            "mean of the shares of either end told right, each run by a cut that the others give",
            "1",
        ),
        "p": Variable(
            ("metric", "frame"),
            np.nan,
            "share of random ways to shuffle the ends over the runs that are told as well or "
            "better",
            "1",
        ),
        "found": Variable(
            ("metric", "frame"), 0, "runs that end badly and are told so, each by the others", "1"
        ),
        "false": Variable(("metric", "frame"), 0, "other runs that are told to end badly", "1"),
        "threshold": Variable(("metric", "frame"), np.nan, "the best cut on all runs"),
        "bad_above": Variable(
            ("metric", "frame"), False, "whether runs above the threshold end badly"
        ),
        "saved": Variable(
            ("metric", "frame"),
            np.nan,
            "share of all runs' frames that stopping the runs in `found` there would have saved",
            "1",
        ),
        "n_runs": Variable(("metric", "frame"), 0, "runs with a measurement", "1"),
        "n_bad": Variable(("metric", "frame"), 0, "of them that end badly", "1"),
        "ends_badly": Variable(("run",), False, "what is foretold"),
        "verdict": Variable(("run",), "", "on action collapse at the end"),
        "final_return": Variable(
            ("run",), np.nan, "mean return of the last checkpoint's episodes", "reward"
        ),
        "last_frame": Variable(("run",), 0, "of the run", "frames"),
    },
    needed=("run", "metric", "frame"),
)
