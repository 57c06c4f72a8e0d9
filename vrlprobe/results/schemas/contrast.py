"""Groups of runs contrasted layer by layer."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

CELL = ("measure", "component", "layer")
MEASURES = {
    "gap": "other group minus base",
    "contrast": "the gap at this layer minus that at the reference layer",
    "correlation": "Spearman's of the score with the return at the end, over all runs",
}

CONTRAST = Schema(
    "contrast",
    {
        "value": Variable(
            (*CELL, "bound"),
            np.nan,
            "other minus base; that minus the same at the reference layer; Spearman's with the "
            "return",
        ),
        "p": Variable(CELL, np.nan, "two-sided, of this layer alone", "1"),
        "p_holm": Variable(CELL, np.nan, "corrected for the layers (Holm)", "1"),
        "score": Variable(
            ("run", "component", "layer"), np.nan, "log test_mse, or test_r2, of the run"
        ),
        "group_score": Variable(
            ("group", "component", "layer", "bound"), np.nan, "mean score over the group's runs"
        ),
        "n_runs": Variable(("group",), 0, "number of runs", "1"),
        "of_group": Variable(("run",), "", "the run's group"),
        "final_return": Variable(("run",), np.nan, "last known mean return of the run", "reward"),
        "runs_needed": Variable(
            ("component", "layer"),
            -1,
            "runs a group for a contrast of the planned size, 80% power, alone at p < 0.05",
            "1",
            given="plan",
        ),
        "runs_needed_holm": Variable(
            ("component", "layer"),
            -1,
            "the same as the first of all layers' contrasts (Holm)",
            "1",
            given="plan",
        ),
    },
    needed=("measure", "group", "component", "layer"),
    labels={"measure": MEASURES},
)
