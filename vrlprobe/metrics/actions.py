"""What an agent's actions look like, one number each: `actions` is (n_samples, n_actions)."""

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.floating[Any]]
SATURATED = 0.99
ACTION_BINS = 20


def action_std(actions: Matrix) -> float:
    """Standard deviation of an action over the samples, mean over actions: 0 in full collapse.

    NaN where an action is NaN or infinite.
    """
    values = np.asarray(actions, np.float64)
    return float(values.std(axis=0).mean()) if np.isfinite(values).all() else float("nan")


def saturated_share(actions: Matrix, bound: float = SATURATED) -> float:
    """Share of actions at least `bound` away from 0, out of the range [-1, 1].

    NaN where an action is NaN or infinite.
    """
    values = np.asarray(actions)
    return float((np.abs(values) >= bound).mean()) if np.isfinite(values).all() else float("nan")


def action_entropy(actions: Matrix, bins: int = ACTION_BINS) -> float:
    """Entropy in nats of an action over the samples, mean over actions.

    Each action's range [-1, 1] is cut into equal bins, so it is a lower bound by resolution: 0 when
    every sample gives the same, log(bins) when all bins are equally full. Actions beyond the range
    count in its outermost bins. NaN where an action is NaN or infinite.
    """
    values = np.asarray(actions, np.float64)
    if not np.isfinite(values).all():
        return float("nan")
    return float(np.mean([_bin_entropy(column, bins) for column in values.T]))


def _bin_entropy(values: Matrix, bins: int) -> float:
    counts, _ = np.histogram(np.clip(values, -1, 1), bins, range=(-1, 1))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
