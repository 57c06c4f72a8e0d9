"""Ridge regression from one layer to another, for layers of tens of thousands of units.

Everything is computed from products of samples with samples, so that no (n_features, n_targets)
matrix is formed where the samples are fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vrlprobe.probes.arrays import ArrayLike, training_and_heldout
from vrlprobe.probes.principal import Principal, kernel

PENALTIES = tuple(10.0 ** np.arange(-8, 5))
"""As shares of the mean variance along an axis, as in `ridge`. Smaller ones would scale axes up so
far that float32 activations' own rounding shows: the map is applied in float32."""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A fitted affine map from features (n_samples, n_features) to (n_samples, n_targets)."""

    mean: Tensor
    """(n_features,): training means of the features."""
    factors: tuple[Tensor, ...]
    """One matrix (n_features, n_targets), or two, over the axes, where they are smaller."""
    offset: Tensor
    """(n_targets,): training means of the targets."""
    penalty: float
    """As a share of the mean variance along an axis."""
    alpha: float
    """The penalty on squared raw coefficients, scikit-learn's ``alpha``."""
    at_edge: bool
    """Whether the penalty is the smallest or largest that was tried."""

    def __call__(self, features: Tensor) -> Tensor:
        """Targets of features, float32."""
        found = features - self.mean
        for factor in self.factors:
            found = found @ factor
        return found + self.offset


def fit_linear_map(
    X: ArrayLike,
    Y: ArrayLike,
    validation: tuple[ArrayLike, ArrayLike],
    penalties: Sequence[float] = PENALTIES,
) -> LinearMap:
    """Fit Y from X by ridge regression with an intercept, one penalty for all targets.

    X : (n_samples, n_features).
    Y : (n_samples, n_targets).
    validation : such a pair of other samples; the penalty is the one with the least total squared
        error on them, the largest of equals.
    penalties : positive; 1 shrinks an axis of mean variance to a half.

    Raises ValueError for shapes that do not fit, no samples, and NaN or infinite values.
    """
    sets = training_and_heldout(X, Y, {"val": validation}, None)
    (data, targets), (held_x, held_y) = sets["train"], sets["val"]
    principal = Principal.of(data)
    mean = targets.mean(dim=0)
    alphas = np.sort(np.asarray(penalties, np.float64)) * principal.mean_variance
    errors = _errors(principal, principal(held_x), targets, held_y, mean, alphas)
    best = len(alphas) - 1 - int(np.argmin(errors[::-1]))
    shrunk = (principal.training / (principal.variance + float(alphas[best]))).T
    return LinearMap(
        principal.mean.float(),
        _factors(principal, shrunk @ (targets - mean)),
        mean.float(),
        float(np.sort(penalties)[best]),
        float(alphas[best]),
        best in (0, len(alphas) - 1),
    )


def _errors(
    principal: Principal,
    held: Tensor,
    targets: Tensor,
    held_targets: Tensor,
    mean: Tensor,
    alphas: np.ndarray,
) -> np.ndarray:
    """Total squared error on held-out samples by penalty, from products of samples alone.

    With D = 1 / (variance + alpha) along the axes, predictions are C D P for coordinates C and
    P = T' Y of the training ones T, so that the error is |E|² - 2 D.q + D' H D.
    """
    training = principal.training
    along = training.T @ kernel(targets, targets, mean) @ training
    H = (held.T @ held) * along
    q = ((kernel(held_targets, targets, mean) @ training) * held).sum(dim=0)
    total = ((held_targets - mean) ** 2).sum()
    found = []
    for alpha in alphas:
        D = 1 / (principal.variance + float(alpha))
        found.append(float(total - 2 * D @ q + D @ H @ D))
    return np.maximum(found, 0.0)


def _factors(principal: Principal, weights: Tensor) -> tuple[Tensor, ...]:
    """Matrices that map centred features to targets, given those from axes to targets."""
    n_axes, n_targets = weights.shape
    n_features = len(principal.mean)
    if n_axes * (n_features + n_targets) < n_features * n_targets:
        axes = principal.back(torch.eye(n_axes, dtype=weights.dtype, device=weights.device))
        return axes.float(), weights.float()
    return (principal.back(weights).float(),)
