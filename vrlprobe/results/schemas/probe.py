"""Probes of layers for components of the state."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

EACH = ("run", "frame", "layer", "component")
CONTROLLED = ("control", *EACH)
PROBED = ("probe", *EACH)
SPLIT = ("split", *EACH)

PROBE = Schema(
    "probe",
    {
        "train_mse": Variable(EACH, np.nan, "mean squared error on the training samples"),
        "val_mse": Variable(EACH, np.nan, "mean squared error on the validation samples"),
        "test_mse": Variable(EACH, np.nan, "mean squared error on the test samples"),
        "test_r2": Variable(EACH, np.nan, "1 - test_mse / variance of the test samples", "1"),
        "sparsity": Variable(EACH, -1, "number of atoms, chosen on the validation samples", "1"),
        "at_edge": Variable(EACH, False, "the sparsity is the largest that was tried"),
        "mean_mse": Variable(("run", "component"), np.nan, "test error of the training mean"),
        "n_features": Variable(("run", "layer"), 0, "number of activations", "1"),
        "episode_return": Variable(
            ("run", "frame"), np.nan, "mean return of the checkpoint's rollout", "reward"
        ),
        "final_return": Variable(
            ("run",), np.nan, "last known mean return of the run, probed there or not", "reward"
        ),
        "contributed": Variable(
            ("run",), False, "the run, or a donor of its, is a source of the samples"
        ),
        "n_test": Variable(("run",), 0, "number of test samples", "1"),
        "checkpoint": Variable(("run", "frame"), "", "SHA-256 of the checkpoint's parameters"),
        "control_test_mse": Variable(
            CONTROLLED, np.nan, "test_mse of the control", given="controls"
        ),
        "control_test_r2": Variable(
            CONTROLLED, np.nan, "test_r2 of the control", "1", given="controls"
        ),
        "control_sparsity": Variable(
            CONTROLLED, -1, "sparsity of the control", "1", given="controls"
        ),
        "selectivity": Variable(
            CONTROLLED, np.nan, "test_r2 - max(control_test_r2, 0)", "1", given="controls"
        ),
        "probe_val_mse": Variable(
            PROBED, np.nan, "val_mse of each kind of probe", given="several kinds"
        ),
        "probe_test_mse": Variable(
            PROBED, np.nan, "test_mse of each kind of probe", given="several kinds"
        ),
        "probe_test_r2": Variable(
            PROBED, np.nan, "test_r2 of each kind of probe", "1", given="several kinds"
        ),
        "probe_sparsity": Variable(
            PROBED, -1, "sparsity of each kind of probe", "1", given="several kinds"
        ),
        "nonlinear_gap": Variable(
            EACH,
            np.nan,
            "max(test_r2, 0) of the mlp - that of the linear probe with the least validation error",
            "1",
            given="mlp and another kind",
        ),
        "split_test_mse": Variable(
            SPLIT, np.nan, "test_mse on each split of the episodes", given="splits"
        ),
        "split_test_r2": Variable(
            SPLIT, np.nan, "test_r2 on each split of the episodes", "1", given="splits"
        ),
        "splits_r2": Variable(
            ("run", "frame", "layer", "bound"),
            np.nan,
            "median test_r2 over components: mean over splits, 95% interval over splits and "
            "episodes",
            "1",
            given="splits",
        ),
        "episode_test_mse": Variable(
            (*EACH, "episode"),
            np.nan,
            "mean squared error on an episode, over splits that test it",
            given="splits",
        ),
        "episode_split": Variable(
            ("run", "split", "episode"),
            -1,
            "set of an episode: 0 training, 1 validation, 2 test; -1 left out of the test set",
            given="splits",
        ),
        "test_share": Variable(
            ("run",),
            np.nan,
            "share of test episodes among those that may be tested on",
            "1",
            given="splits",
        ),
    },
    needed=("run", "frame", "layer", "component", "checkpoint"),
)
