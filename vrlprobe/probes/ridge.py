"""Ridge regression for many targets at every penalty: a probe that uses all activations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vrlprobe.probes.arrays import ArrayLike, numbers, training_and_heldout
from vrlprobe.probes.principal import Principal

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PENALTIES = tuple(10.0 ** np.arange(-12, 5))
"""As shares of the mean variance along an axis, so that the activations' scale does not matter; the
least leaves the smallest axes that are kept about as they are, however large the largest."""


@dataclass(frozen=True, eq=False)
class RidgePath:
    """The fit of every target at every penalty."""

    penalties: Floats
    """(n_penalties,): as given, from the smallest."""
    alphas: Floats
    """(n_penalties,): the penalties on squared raw coefficients, scikit-learn's ``alpha``."""
    mse: Mapping[str, Floats]
    """Mean squared error by set, ``"train"`` and each held-out one: (n_targets, n_penalties)."""
    target_mean: Floats
    """(n_targets,): the training means."""
    principal: Principal
    projection: torch.Tensor
    """(n_axes, n_targets): products of the training rows' coordinates with the centred targets."""

    def best_penalty(self, name: str) -> Ints:
        """(n_targets,): which penalty has the least error on a set; the largest of equals."""
        last = self.mse[name].shape[1] - 1
        best: Ints = last - np.argmin(self.mse[name][:, ::-1], axis=1)
        return best

    def coefficients(self, which: int | npt.ArrayLike) -> tuple[Floats, Floats]:
        """Coefficients (n_targets, n_features) and intercepts at one penalty or one per target."""
        chosen = np.broadcast_to(np.asarray(which), self.target_mean.shape)
        alphas = torch.from_numpy(self.alphas[chosen]).to(self.projection.device)
        along = self.projection / (self.principal.variance[:, None] + alphas)
        values = self.principal.back(along).T.cpu().numpy()
        return values, self.target_mean - values @ self.principal.mean.cpu().numpy()

    def predict(self, X: ArrayLike, which: int | npt.ArrayLike) -> Floats:
        """Predictions (n_samples, n_targets) for X (n_samples, n_features)."""
        values, intercept = self.coefficients(which)
        fitted: Floats = numbers(X).cpu().numpy().astype(np.float64) @ values.T + intercept
        return fitted


def ridge_path(
    X: ArrayLike,
    Y: ArrayLike,
    penalties: Sequence[float] = PENALTIES,
    *,
    heldout: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    device: str | torch.device | None = None,
) -> RidgePath:
    """Fit every target by ridge regression with an intercept, at every penalty.

    Parameters
    ----------
    X, Y, heldout, device
        As for `omp_path`. Columns are centred, not scaled.
    penalties : Sequence[float], optional
        Positive; 1 shrinks an axis of mean variance to a half.

    Raises
    ------
    ValueError
        Shapes that do not fit, no samples, a penalty that is not positive, and NaN or infinite
        values.
    DeviceError
        Where torch cannot compute on the device.
    """
    ordered = np.asarray(penalties, np.float64)
    if ordered.ndim != 1 or not len(ordered) or not (np.isfinite(ordered) & (ordered > 0)).all():
        raise ValueError(f"penalties must be positive numbers, a list of them, not {penalties}")
    ordered = np.sort(ordered)
    sets = training_and_heldout(X, Y, heldout, device)
    data, targets = sets["train"]
    principal = Principal.of(data)
    mean = targets.mean(dim=0)
    alphas = ordered * principal.mean_variance
    projection = principal.training.T @ (targets - mean)
    mse = {}
    for name, (held_x, held_y) in sets.items():
        coordinates = principal.training if name == "train" else principal(held_x)
        errors = [
            held_y - mean - coordinates @ (projection / (principal.variance[:, None] + alpha))
            for alpha in alphas
        ]
        mse[name] = torch.stack([(e**2).mean(dim=0) for e in errors], dim=1).cpu().numpy()
    return RidgePath(ordered, alphas, mse, mean.cpu().numpy(), principal, projection)
