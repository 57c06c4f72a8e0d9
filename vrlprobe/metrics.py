"""What a layer's activations and an agent's actions look like, one number each.

`activations` is (n_samples, n_units) everywhere, `actions` (n_samples, n_actions). Singular values
are those of the uncentred matrix, as in the paper (section 5.1). Sums are in float64, whatever the
input's type. Every function states what it gives where there is nothing to measure; NaN means
undefined.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

Matrix = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

LAYERED = {
    "numerical_rank": "(sum of singular values)² / sum of their squares",
    "effective_rank": "exponential of the entropy of the normalised singular values",
    "srank": "fewest singular values that hold 99% of their sum",
    "correlation_neurons": "mean Pearson correlation over pairs of live units",
    "cosine_neurons": "mean cosine over pairs of live units",
    "correlation_samples": "mean cosine over pairs of samples",
    "dead_units": "units that are zero for every sample",
    "zero_fraction": "share of activations that are zero",
    "dormant_ratio": "share of units that are small beside their layer's mean",
    "grad_norm": "gradient norm of the layer's weights under the actor loss, on the stored batch",
}
"""What is measured of each layer."""
AGENT = {
    "episode_return": "mean return of the checkpoint's rollout",
    "action_spread": "standard deviation of the mean action over the samples, mean over actions",
    "saturated_share": "share of mean actions of at least 0.99",
    "action_entropy": "entropy in nats of the mean action over the samples, in 20 bins an action",
}
"""What is measured of an agent."""

CONSTANT = 8 * float(np.finfo(np.float32).eps)
"""A unit whose range is below this share of its largest value is constant: float32 products of
equal samples differ by that much with their place in the batch."""
DORMANT_DRM, DORMANT_REDO = 0.025, 0.1
"""Thresholds of the dormant ratio: Xu et al., 2023 (DrM) and Sokar et al., 2023 (ReDo)."""
SATURATED = 0.99
ACTION_BINS = 20


def singular_values(activations: Matrix) -> Floats:
    """All singular values, descending, float64 (min(n_samples, n_units),).

    From the eigenvalues of the smaller Gram matrix in float64: each is within about 2e-7 of the
    largest one, and none is formed where a unit or a sample is zero throughout.
    """
    values = np.asarray(activations, np.float64)
    size = min(values.shape)
    live = values[np.ix_(values.any(axis=1), values.any(axis=0))]
    if live.shape[0] > live.shape[1]:
        live = live.T
    found = np.zeros(size)
    if live.size:
        squares = scipy.linalg.eigvalsh(live @ live.T, driver="evr", check_finite=False)
        found[: len(squares)] = np.sqrt(np.clip(squares[::-1], 0, None))
    return found


def numerical_rank(values: Floats) -> float:
    """(sum of singular values)² / sum of their squares (paper, section 5.1); 0 if all are 0."""
    values = np.asarray(values, np.float64)
    squares = float(values @ values)
    return float(values.sum()) ** 2 / squares if squares else 0.0


def effective_rank(values: Floats) -> float:
    """Exponential of the entropy of singular values scaled to sum 1 (Roy and Vetterli, 2007).

    0 if all are 0.
    """
    values = np.asarray(values, np.float64)
    positive = values[values > 0]
    if not len(positive):
        return 0.0
    shares = positive / positive.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def srank(values: Floats, share: float = 0.99) -> int:
    """Fewest singular values that hold `share` of their sum (Kumar et al., 2021).

    0 if all are 0.
    """
    values = np.asarray(values, np.float64)
    total = values.sum()
    if not total:
        return 0
    return int(np.searchsorted(np.cumsum(values), share * total * (1 - 1e-12))) + 1


def correlation_neurons(activations: Matrix) -> float:
    """Mean signed Pearson correlation over pairs of live units (paper, section 5.1).

    A unit that is the same for every sample has no correlation with others and is left out; NaN
    with fewer than two units left. No (n_units, n_units) matrix is formed.
    """
    values = np.asarray(activations, np.float64)
    moves = np.ptp(values, axis=0) > CONSTANT * np.abs(values).max(axis=0, initial=0.0)
    centred = values[:, moves] - values[:, moves].mean(axis=0)
    return _mean_cosine(centred.T)


def cosine_neurons(activations: Matrix) -> float:
    """Mean cosine over pairs of live units: 1 when all are proportional, or each constant.

    Unlike `correlation_neurons` it is not centred, so that units which stay the same for every
    sample, as in collapse, count as alike. Units that are zero throughout have no direction and are
    left out; NaN with fewer than two left.
    """
    return _mean_cosine(np.asarray(activations, np.float64).T)


def correlation_samples(activations: Matrix) -> float:
    """Mean cosine over pairs of samples: 1 when all activate the same units in the same proportion.

    Samples that activate nothing have no direction and are left out; NaN with fewer than two left.
    """
    return _mean_cosine(np.asarray(activations, np.float64))


def _mean_cosine(rows: Floats) -> float:
    """Mean cosine over pairs of non-zero rows, from the length of their directions' sum."""
    rows = rows[rows.any(axis=1)]
    count = len(rows)
    if count < 2:
        return float("nan")
    total = (1 / np.linalg.norm(rows, axis=1)) @ rows
    return float((total @ total - count) / (count * (count - 1)))


def dead_units(activations: Matrix) -> int:
    """Number of units that are zero for every sample (paper, section 5.1; Lu et al., 2019)."""
    return int((~np.asarray(activations).any(axis=0)).sum())


def zero_fraction(activations: Matrix) -> float:
    """Share of all activations that are zero."""
    return 1 - np.count_nonzero(activations) / np.size(activations)


def dormant_ratio(activations: Matrix, threshold: float = DORMANT_DRM) -> float:
    """Share of units whose mean absolute activation is at most `threshold` of the layer's mean.

    As Sokar et al. (2023) define it, so that of a layer in which all are zero, all are dormant; DrM
    (Xu et al., 2023) takes those below the threshold, of such a layer none.

    Raises:
        ValueError: a threshold that is no number of 0 or more.
    """
    if not threshold >= 0:
        raise ValueError(f"the threshold must be a number of 0 or more, not {threshold}")
    means = np.abs(np.asarray(activations, np.float64)).mean(axis=0)
    return float((means <= threshold * means.mean()).mean())


def action_spread(actions: Matrix) -> float:
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


def layer_metrics(
    activations: Matrix, *, dormant_threshold: float = DORMANT_DRM
) -> dict[str, float]:
    """Every metric of a layer by its name in a result; the singular values are computed once.

    NaN throughout where an activation is NaN or infinite.
    """
    if not np.isfinite(activations).all():
        found = layer_metrics(np.zeros_like(activations), dormant_threshold=dormant_threshold)
        return dict.fromkeys(found, float("nan"))
    values = singular_values(activations)
    return {
        "numerical_rank": numerical_rank(values),
        "effective_rank": effective_rank(values),
        "srank": srank(values),
        "correlation_neurons": correlation_neurons(activations),
        "cosine_neurons": cosine_neurons(activations),
        "correlation_samples": correlation_samples(activations),
        "dead_units": dead_units(activations),
        "zero_fraction": zero_fraction(activations),
        "dormant_ratio": dormant_ratio(activations, dormant_threshold),
    }
