"""Activations in the coordinates of their training rows: as many as rows, for any width."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vrlprobe.probes.arrays import refuse_not_finite

CHUNK = 2048
"""Features or samples multiplied at a time."""
NEGLIGIBLE = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Squared singular values below this share of the largest are rounding, by the data's type."""


@dataclass(frozen=True)
class Principal:
    """Principal coordinates of centred data: a rotation, which loses nothing of the training rows.

    They cost one product of the training rows with themselves, over samples or over features,
    whichever are fewer, and its eigenvectors: d far above n is cheap.
    """

    mean: Tensor
    """(n_features,) float64, of the training rows."""
    axes: Tensor
    """(n_features, n_axes) orthonormal, in the data's type, the largest variance first."""
    variance: Tensor
    """(n_axes,): squared singular values of the centred training rows."""

    @classmethod
    def of(cls, X: Tensor) -> "Principal":
        """The axes of X (n_samples, n_features).

        Raises:
            ValueError: NaN or infinite values.
        """
        refuse_not_finite("X", X.T)
        mean = X.mean(dim=0, dtype=torch.float64)
        wide = X.shape[1] > X.shape[0]
        variance, vectors = torch.linalg.eigh(_gram(X, mean, wide))
        variance, vectors = variance.flip(0), vectors.flip(1)
        kept = variance > NEGLIGIBLE[X.dtype] * variance[:1].clamp(min=torch.finfo(X.dtype).tiny)
        variance, vectors = variance[kept], vectors[:, kept]
        if wide:
            scaled = (vectors / variance.sqrt()).to(X.dtype)
            axes = X.T @ scaled - mean.to(X.dtype)[:, None] * scaled.sum(dim=0)
        else:
            axes = vectors.to(X.dtype)
        return cls(mean, axes, variance)

    @property
    def mean_variance(self) -> float:
        """Mean of ``variance``, 1 where there are no axes."""
        return float(self.variance.mean()) if len(self.variance) else 1.0

    def __call__(self, X: Tensor) -> Tensor:
        """Coordinates (n_samples, n_axes) float64 of X (n_samples, n_features)."""
        shift = self.mean.to(X.dtype) @ self.axes.to(X.dtype)
        return (X @ self.axes.to(X.dtype) - shift).double()


def _gram(X: Tensor, mean: Tensor, wide: bool) -> Tensor:
    """Products of the centred data over features (n, n) if ``wide``, else over samples (d, d).

    Summed in float64 over chunks multiplied in the data's type.
    """
    side = X.shape[0] if wide else X.shape[1]
    total = torch.zeros((side, side), dtype=torch.float64, device=X.device)
    for start in range(0, X.shape[1] if wide else X.shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        centred = (X[:, part] - mean[part] if wide else (X[part] - mean).T).to(X.dtype)
        total += centred @ centred.T
    return total
