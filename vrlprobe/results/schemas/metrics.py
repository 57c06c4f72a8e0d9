"""Metrics of layers and actions."""

import numpy as np

from vrlprobe.metrics.registry import AGENT, LAYERED
from vrlprobe.results.schema import Schema, Variable

METRICS = Schema(
    "metrics",
    {
        **{
            name: Variable(("run", "frame", "layer"), np.nan, item.text, "1")
            for name, item in LAYERED.items()
        },
        **{
            name: Variable(("run", "frame"), np.nan, item.text, item.units)
            for name, item in AGENT.items()
        },
        "stage": Variable(
            ("run", "frame"), "", "collapsed or healthy, by the run's log; empty if not known"
        ),
        "stage_begin": Variable(
            ("run", "frame"), -1, "first checkpoint of that phase, measured or not", "frames"
        ),
        "stage_end": Variable(
            ("run", "frame"), -1, "first one after it; -1 where it goes on to the last", "frames"
        ),
        "attempt": Variable(
            ("run", "frame"), -1, "training from scratch that the checkpoint belongs to", "1"
        ),
        "checkpoint": Variable(("run", "frame"), "", "SHA-256 of the checkpoint's parameters"),
    },
    needed=("run", "frame", "layer", "checkpoint"),
)
