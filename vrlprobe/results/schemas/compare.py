"""Cohorts held against the first one."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

MEASURES = {
    "return": "return at the frame, mean over its last evaluations",
    "interquartile_return": "the same; its interquartile mean over runs",
    "good": "whether that is a good one",
    "in_collapse": "whether it comes out of collapse after the frame, or never",
    "collapse_frames": "frames until it is out of collapse, at most the frame",
    "threshold_frames": "frames until the return is over the threshold, at most the frame",
    "area_under_curve": "area under the learning curve to the frame, divided by its frames",
}

COMPARE = Schema(
    "compare",
    {
        "base": Variable(
            ("task", "cohort", "measure", "bound"), np.nan, "mean over the runs of the first"
        ),
        "other": Variable(
            ("task", "cohort", "measure", "bound"), np.nan, "mean over the cohort's runs"
        ),
        "difference": Variable(("task", "cohort", "measure", "bound"), np.nan, "other minus base"),
        "p": Variable(
            ("task", "cohort", "measure"), np.nan, "two-sided, that there is no difference", "1"
        ),
        "improvement": Variable(
            ("task", "cohort", "bound"),
            np.nan,
            "probability that other's return is above base's",
            "1",
        ),
        "base_median_frames": Variable(
            ("task", "cohort", "bound"),
            np.nan,
            "median frames to the threshold, of the first",
            "frames",
        ),
        "other_median_frames": Variable(
            ("task", "cohort", "bound"), np.nan, "the same of the cohort", "frames"
        ),
        "threshold": Variable(
            ("task", "cohort"), np.nan, "return that counts as reached", "reward"
        ),
        "n_base": Variable(("task", "cohort"), 0, "runs of the first cohort", "1"),
        "n_other": Variable(("task", "cohort"), 0, "runs of the cohort", "1"),
        "paired": Variable(
            ("task", "cohort"), False, "whether both have the same seeds, and are compared so"
        ),
        "frame": Variable(
            ("task", "cohort"),
            -1,
            "at which they are compared; -1 where a task is not in both",
            "frames",
        ),
    },
    needed=(),
    labels={"measure": MEASURES},
)
