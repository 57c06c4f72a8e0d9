"""How long attempts stay in collapse."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

SURVIVAL = Schema(
    "outlook",
    {
        "run": Variable(("attempt",), "", "whose attempt it is"),
        "number": Variable(("attempt",), 1, "which of the run's"),
        "duration": Variable(
            ("attempt",),
            0,
            "frames from its begin until it is out of collapse, or to its last measurement",
            "frames",
        ),
        "out": Variable(("attempt",), False, "whether it is out, and stays so"),
        "entered": Variable(("attempt",), False, "whether it was ever in collapse"),
        "in_collapse": Variable(
            ("bound", "frame"), np.nan, "share of attempts still in collapse", "1"
        ),
        "at_risk": Variable(("frame",), 0, "attempts seen in collapse until then", "1"),
        "frames_per_escape": Variable(
            ("bound", "frame"),
            np.nan,
            "mean frames until one comes out, each given up at this frame",
            "frames",
        ),
        "waited": Variable(
            ("waiting",), 0, "frames of its attempt, all but the first in collapse", "frames"
        ),
        "left": Variable(("waiting",), 0, "frames that the run has to go", "frames"),
        "longer": Variable(("waiting",), 0, "attempts seen for longer than it has waited", "1"),
        "out_waiting": Variable(
            ("bound", "waiting"),
            np.nan,
            "chance to come out by the run's end; unknown where no attempt was seen for longer",
            "1",
        ),
        "out_again": Variable(
            ("bound", "waiting"), np.nan, "the same for a new attempt in the frames left", "1"
        ),
        "frames_waiting": Variable(
            ("bound", "waiting"), np.nan, "mean frames left after coming out", "frames"
        ),
        "frames_again": Variable(
            ("bound", "waiting"), np.nan, "the same for a new attempt", "frames"
        ),
        "again_better": Variable(
            ("waiting",),
            np.nan,
            "share of bootstrap samples in which a new attempt has more of them",
            "1",
        ),
        "waiting_better": Variable(("waiting",), np.nan, "share in which waiting has", "1"),
        "cutoff": Variable(("bound",), np.nan, "frame at which to give an attempt up", "frames"),
    },
    needed=("attempt", "frame"),
)
