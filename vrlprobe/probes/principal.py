"""Activations in the coordinates of their training rows: as many as rows, for any width."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vrlprobe.probes.arrays import refuse_not_finite

CHUNK = 2048
"""Features or samples multiplied at a time."""
NEGLIGIBLE = 1e-12
"""Axes below this share of the largest variance are rounding, of products in float64."""
ROUNDING = 8 * torch.finfo(torch.float64).eps
"""Error of a mean as a share of it."""


@dataclass(frozen=True)
class Principal:
    """Principal coordinates of centred data: a rotation of the training rows.

    Axes with less than a millionth of the largest one's deviation are left out: such are float32
    activations' own rounding (22 of the 101 axes of the collapsed fixture's mlp1). All is computed
    in float64, as in float32 a thousandth is lost already, and a unit that deviates by thousands
    hides the others.

    They cost one product of the training rows with themselves, over samples or over features,
    whichever are fewer, and its eigenvectors: d far above n is cheap.
    """

    mean: Tensor
    """(n_features,), of the training rows."""
    variance: Tensor
    """(n_axes,): squared singular values of the centred training rows, the largest first."""
    training: Tensor
    """(n_samples, n_axes): coordinates of the training rows."""
    vectors: Tensor
    """(n_features, n_axes) orthonormal axes; with ``rows``, (n_samples, n_axes): how much of each
    of the rows is in an axis, as the axes themselves would take twice the rows' memory."""
    rows: Tensor | None
    """(n_samples, n_features): a copy of the training rows where they are fewer than features."""

    @classmethod
    def of(cls, X: Tensor) -> "Principal":
        """The axes of X (n_samples, n_features).

        Raises
        ------
        ValueError
            NaN or infinite values.
        """
        refuse_not_finite("X", X.T)
        mean = X.mean(dim=0, dtype=torch.float64)
        wide = X.shape[1] > X.shape[0]
        variance, vectors = torch.linalg.eigh(kernel(X, X, mean) if wide else _gram(X, mean))
        variance, vectors = variance.flip(0), vectors.flip(1)
        rounding = len(X) * ROUNDING**2 * (mean @ mean)
        kept = variance > torch.maximum(NEGLIGIBLE * variance[0], rounding)
        variance, vectors = variance[kept], vectors[:, kept]
        if wide:
            scale = variance.sqrt()
            return cls(mean, variance, vectors * scale, vectors / scale, X.clone())
        return cls(mean, variance, _along(X, mean, vectors), vectors, None)

    @property
    def mean_variance(self) -> float:
        """Mean of ``variance``, 1 where there are no axes."""
        return float(self.variance.mean()) if len(self.variance) else 1.0

    def __call__(self, X: Tensor) -> Tensor:
        """Coordinates (n_samples, n_axes) of X (n_samples, n_features)."""
        if self.rows is None:
            return _along(X, self.mean, self.vectors)
        return kernel(X, self.rows, self.mean) @ self.vectors

    def back(self, along: Tensor) -> Tensor:
        """Coefficients of features (n_features, n_targets) of those of axes (n_axes, n_targets)."""
        found = self.vectors @ along
        if self.rows is None:
            return found
        columns = zip(
            torch.split(self.rows, CHUNK, dim=1), torch.split(self.mean, CHUNK), strict=True
        )
        return torch.cat([(part.double() - mean).T @ found for part, mean in columns])


def _gram(X: Tensor, mean: Tensor) -> Tensor:
    """Products of the centred features with each other (d, d)."""
    total = mean.new_zeros((X.shape[1], X.shape[1]))
    for part in torch.split(X, CHUNK):
        centred = part.double() - mean
        total += centred.T @ centred
    return total


def kernel(X: Tensor, rows: Tensor, mean: Tensor) -> Tensor:
    """Products in float64 of centred samples (n_samples, d) with centred rows (n, d).

    Returns (n_samples, n); both are centred with the mean (d,).
    """
    total = mean.new_zeros((len(X), len(rows)))
    for start in range(0, X.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        centred = X[:, part].double() - mean[part]
        other = centred if rows is X else rows[:, part].double() - mean[part]
        total += centred @ other.T
    return total


def _along(X: Tensor, mean: Tensor, axes: Tensor) -> Tensor:
    """Centred samples (n_samples, d) in coordinates of axes (d, n_axes)."""
    return torch.cat([(part.double() - mean) @ axes for part in torch.split(X, CHUNK)])
