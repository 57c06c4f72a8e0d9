"""How alike two representations of the same samples are, whatever their basis."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vrlprobe.metrics.representation import CONSTANT

Matrix = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

FEWEST = 4
"""Samples that the unbiased estimator needs."""


def linear_cka(one: Matrix, other: Matrix) -> float:
    """Linear centred kernel alignment of two layers, from the unbiased estimator of HSIC.

    1 where one layer is the other after a rotation, a scaling and a translation; around 0, and
    slightly negative at times, where they are independent. Only products of samples with samples
    are formed, so that layers may have far more units than there are samples.

    Parameters
    ----------
    one, other : array of shape (n_samples, n_units) and (n_samples, n_other_units)
        Activations for the same samples, four or more.

    Returns
    -------
    float
        At most 1. NaN where a layer is constant, or an activation is NaN or infinite.

    Raises
    ------
    ValueError
        The numbers of samples differ, or are fewer than four.

    References
    ----------
    Kornblith et al. (2019), section 3; Song et al. (2012), equation 5, for the estimator.
    """
    if len(one) != len(other):
        raise ValueError(f"both layers need the same samples, not {len(one)} and {len(other)}")
    return float(gram_direction(one) @ gram_direction(other))


def gram_direction(activations: Matrix) -> Floats:
    """Direction of a layer's centred Gram matrix: the dot product of two is their linear CKA.

    The matrix is U-centred (Székely and Rizzo, 2014): its diagonal is left out, so that a sample's
    product with itself does not count. The dot product of two such matrices is n (n - 3) times the
    unbiased estimator of HSIC.

    Parameters
    ----------
    activations : array of shape (n_samples, n_units)

    Returns
    -------
    array of shape (n_samples * (n_samples - 1) / 2,)
        float64, of length 1; NaN throughout where the layer is constant or not finite.

    Raises
    ------
    ValueError
        Fewer than four samples.
    """
    values = np.asarray(activations, np.float64)
    count = len(values)
    if count < FEWEST:
        raise ValueError(f"the estimator needs {FEWEST} samples, found {count}")
    above = np.triu_indices(count, 1)
    undefined = np.full(len(above[0]), np.nan)
    if not np.isfinite(values).all():
        return undefined
    moves = np.ptp(values, axis=0) > CONSTANT * np.abs(values).max(axis=0, initial=0.0)
    if not moves.any():
        return undefined
    centred = values[:, moves] - values[:, moves].mean(axis=0)
    gram = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    sums = gram.sum(axis=0) / (count - 2)
    gram -= sums[:, None] + sums - sums.sum() / (count - 1)
    found: Floats = gram[above]
    length = float(np.linalg.norm(found))
    return found / length if length else undefined
