"""What the reset rule would have done."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

RESET_RULE = Schema(
    "rule",
    {
        "decided": Variable(
            ("run",), False, "the window is over, or the attempt may go on already"
        ),
        "fired": Variable(
            ("run",),
            -1,
            "frame at which the rule would have reset the run's first attempt, -1 if it keeps it",
            "frames",
        ),
        "streak": Variable(
            ("run",), 0, "most measurements in a row in the window that let the attempt go on", "1"
        ),
        "verdict": Variable(("run",), "", "what became of the run without a reset"),
        "judged": Variable(
            ("run",),
            "",
            "right, wrong (fired on a run that escaped later, kept one that stayed stuck), open",
        ),
        "saved": Variable(("run",), 0, "frames after the reset that the run spent stuck", "frames"),
        "lost": Variable(
            ("run",), 0, "frames thrown away by resetting a run that escaped later", "frames"
        ),
        "success": Variable(
            (), np.nan, "1 - p^n, the chance to pass the rule (paper, proposition 1)", "1"
        ),
        "success_low": Variable((), np.nan, "lower end of its 95% interval", "1"),
        "success_high": Variable((), np.nan, "upper end of its 95% interval", "1"),
        "p": Variable(
            (), np.nan, "share of the runs past their window that the rule fired on", "1"
        ),
        "n": Variable((), 0, "attempts that fit in the shortest run", "1"),
    },
    needed=(),
)
