"""What a layer's activations look like, one number each.

`activations` is (n_samples, n_units) everywhere. Singular values are those of the uncentred matrix,
as in the paper (section 5.1). Sums are in float64, whatever the input's type. Every function states
what it gives where there is nothing to measure; NaN means undefined.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

Matrix = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

CONSTANT = 8 * float(np.finfo(np.float32).eps)
"""A unit whose range is below this share of its largest value is constant: float32 products of
equal samples differ by that much with their place in the batch."""
DORMANT_DRM, DORMANT_REDO = 0.025, 0.1
"""Thresholds of the dormant ratio: Xu et al., 2023 (DrM) and Sokar et al., 2023 (ReDo)."""


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
