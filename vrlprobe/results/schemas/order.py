"""Which layer beats which."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

ORDER = Schema(
    "order",
    {
        "wins": Variable(
            (
                "component",
                "layer",
                "other",
            ),
            np.nan,
            "share of runs in which `layer` has the smaller error, ties counted half",
            "1",
        ),
        "ratio": Variable(
            (
                "component",
                "layer",
                "other",
            ),
            np.nan,
            "geometric mean over runs of its error divided by that of `other`",
            "1",
        ),
        "p": Variable(
            (
                "component",
                "layer",
                "other",
            ),
            np.nan,
            "two-sided, of Wilcoxon's signed ranks, corrected for the pairs of a component (Holm)",
            "1",
        ),
        "runs": Variable(("component",), 0, "runs in which the component moves", "1"),
    },
    needed=(),
)
