"""Runs taken together: classes, verdicts, aggregates."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

COHORT = Schema(
    "cohort",
    {
        "task": Variable(("run",), "", "domain and task"),
        "seed": Variable(("run",), -1, "of the training"),
        "final_return": Variable(
            ("run",), np.nan, "mean return of the last checkpoint's episodes", "reward"
        ),
        "class": Variable(("run",), "", "good, middle or bad by the final return"),
        "verdict": Variable(
            ("run",), "", "on action collapse: healthy, escaped, stuck or undecided"
        ),
        "since": Variable(
            ("run",), -1, "frame of the escape, or since which it is stuck", "frames"
        ),
        "out": Variable(
            ("run",),
            np.nan,
            "frame from which it is seen out of collapse, to its end, the first measurement of an "
            "attempt never in it; infinite where it ends in collapse, NaN where it has too few of "
            "them",
            "frames",
        ),
        "read_from": Variable(
            ("run",), -1, "frame of the first measurement after an update", "frames"
        ),
        "threshold": Variable(("run",), np.nan, "return that counts as reached", "reward"),
        "frames_to_threshold": Variable(
            ("run",),
            np.nan,
            "frames until the first evaluation with that return, or to the last evaluation",
            "frames",
        ),
        "reached": Variable(("run",), False, "whether the run reaches it"),
        "area_under_curve": Variable(
            ("run",),
            np.nan,
            "area under the learning curve divided by its frames: mean return",
            "reward",
        ),
        "attempts": Variable(("run",), 1, "trainings from scratch in the run", "1"),
        "finished": Variable(("run",), True, "whether it has its last checkpoint"),
        "last_checkpoint": Variable(("run",), "", "SHA-256 of its parameters"),
        "episode_return": Variable(
            ("run", "frame"), np.nan, "mean return of the checkpoint's rollout", "reward"
        ),
        "final": Variable(
            (
                "statistic",
                "bound",
            ),
            np.nan,
            "mean and interquartile mean of the final returns, 95% bootstrap interval",
            "reward",
        ),
        "percentile_5": Variable((), np.nan, "5th percentile of the final returns", "reward"),
        "percentile_95": Variable((), np.nan, "95th percentile of the final returns", "reward"),
        "deviation": Variable(
            (),
            np.nan,
            "standard deviation across the runs of a task, mean over the last ten evaluations and "
            "over tasks; NaN where the runs of a task do not end together",
            "reward",
        ),
        "task_runs": Variable(("each_task",), 0, "number of runs", "1"),
        "task_mean": Variable(("each_task",), np.nan, "mean of the final returns", "reward"),
        "task_percentile_5": Variable(
            ("each_task",), np.nan, "5th percentile of the final returns", "reward"
        ),
        "task_percentile_95": Variable(
            ("each_task",), np.nan, "95th percentile of the final returns", "reward"
        ),
        "task_deviation": Variable(
            ("each_task",),
            np.nan,
            "standard deviation across the runs, mean over the last ten evaluations",
            "reward",
        ),
        "task_median_frames": Variable(
            (
                "each_task",
                "bound",
            ),
            np.nan,
            "Kaplan and Meier's median of the frames to the threshold; infinite where too few runs "
            "reach it",
            "frames",
        ),
        "task_area_under_curve": Variable(
            (
                "each_task",
                "bound",
            ),
            np.nan,
            "mean area under the learning curve divided by its frames",
            "reward",
        ),
        "of_group": Variable(("run",), "", "the run's group", given="by"),
        "runs": Variable(("group",), 0, "number of runs", "1", given="by"),
        "successes": Variable(("group",), 0, "runs of the class good", "1", given="by"),
        "stuck": Variable(("group",), 0, "runs with the verdict stuck", "1", given="by"),
        "ends_in_collapse": Variable(
            ("group",), 0, "runs in collapse at the end, whatever the verdict", "1", given="by"
        ),
        "success": Variable(
            ("group", "bound"),
            np.nan,
            "share of good runs and its 95% Wilson interval",
            "1",
            given="by",
        ),
        "mean_return": Variable(
            ("group",), np.nan, "mean of the final returns", "reward", given="by"
        ),
        "curve": Variable(
            ("group", "frame"),
            np.nan,
            "mean return of the good runs (paper, Figure 3b)",
            "reward",
            given="by",
        ),
        "curve_runs": Variable(
            ("group", "frame"), 0, "good runs that have this frame", "1", given="by"
        ),
        "median_frames": Variable(
            ("group", "bound"),
            np.nan,
            "Kaplan and Meier's median of the frames to the threshold",
            "frames",
            given="by",
        ),
        "mean_area_under_curve": Variable(
            ("group",), np.nan, "mean area under the curve divided by frames", "reward", given="by"
        ),
    },
    needed=("run", "frame"),
)
