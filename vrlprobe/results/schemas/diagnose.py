"""Why agents are stuck."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

PAIR = ("run", "reference")

DIAGNOSE = Schema(
    "diagnose",
    {
        "verdict": Variable(
            ("run",), "", "healthy, escaped, stuck, undecided, or unknown without a log"
        ),
        "since": Variable(
            ("run",),
            -1,
            "frame since when, or at which it escaped; -1 where there is none",
            "frames",
        ),
        "reason": Variable(("run",), "", "why the verdict is not firmer"),
        "text": Variable(("run",), "", "the diagnosis in lines"),
        "at_frame": Variable(
            ("agent",), -1, "frame of the checkpoint; -1 for blank networks", "frames"
        ),
        "episode_return": Variable(
            ("agent",), np.nan, "mean return of the checkpoint's rollout", "reward"
        ),
        "action_spread": Variable(
            ("agent",), np.nan, "standard deviation of the action over the samples", "1"
        ),
        "variation": Variable(
            ("agent", "layer"), np.nan, "share of the layer's mean square that varies", "1"
        ),
        "numerical_rank": Variable(("agent", "layer"), np.nan, "numerical rank of the layer", "1"),
        "constant_share": Variable(
            ("agent", "layer"), np.nan, "share of units that never move", "1"
        ),
        "weight_norm": Variable(("agent", "weight"), np.nan, "norm of the weight", "1"),
        "effective_step": Variable(
            ("agent", "weight"), np.nan, "logged gradient as a share of what Adam divides by", "1"
        ),
        "pre_tanh": Variable(
            ("agent", "tanh"), np.nan, "mean magnitude of what enters the tanh", "1"
        ),
        "q_spread": Variable(
            ("agent",), np.nan, "standard deviation of Q over uniform actions", "reward"
        ),
        "critic_rank": Variable(("agent",), np.nan, "numerical rank of the critic's trunk", "1"),
        "encoder_spread": Variable(
            PAIR, np.nan, "action std of the run's encoder with the reference's actor", "1"
        ),
        "actor_spread": Variable(
            PAIR, np.nan, "action std of the run's actor with the reference's encoder", "1"
        ),
        "patched_spread": Variable(
            (*PAIR, "layer"), np.nan, "action std of the run with the reference's activations", "1"
        ),
        "first_layer": Variable(
            PAIR, "", "layer from which on the action varies with the reference's"
        ),
        "r2_gap": Variable(
            (*PAIR, "part", "bound"),
            np.nan,
            "R² of the reference minus that of the run, ridge probes, mean over layers and "
            "components of a part, 95% bootstrap interval over episodes",
            "1",
        ),
    },
    needed=("run", "agent", "layer"),
)
