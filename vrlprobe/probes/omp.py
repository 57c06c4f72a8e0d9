"""Orthogonal matching pursuit for many targets at once: the whole sparse path, errors included.

The probe of the paper's section 4.1 (equation 1): a component of the state as a linear function of
at most r activations. One call fits every target on the same columns and returns the fit at every
sparsity, so that a validation set can choose r.

Screening is rough (one product a step over all targets and columns, in half precision where that is
faster), the decision exact: every column that the screening error leaves in question is scored
again in float64 from the raw data.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import solve_triangular

from vrlprobe._checks import check_at_least, check_given
from vrlprobe.probes.arrays import ArrayLike, numbers, training_and_heldout
from vrlprobe.probes.columns import Columns
from vrlprobe.probes.growth import Growth

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Options:
    """What a path was made with."""

    max_atoms: int
    """The largest sparsity that was asked for."""
    min_active: int
    """Training samples on which an atom differs from 0, at least."""
    patience: int | None
    """Atoms without a better held-out error after which a target stopped, None for no such stop."""
    device: str
    """Where it was computed, `cpu` or `cuda:0`."""
    screening: str
    """The precision of the rough scores; it never changes the result."""
    n_features: int
    """Columns of X."""
    n_candidates: int
    """Columns that could be chosen: neither constant nor too seldom active."""


@dataclass(frozen=True, eq=False)
class OmpPath:
    """The path of every target, from the mean alone (sparsity 0) to ``max_atoms`` atoms.

    A target stops early when nothing is left to explain or to explain it with: its row of
    ``support`` then ends in -1, ``n_atoms`` says where, and its errors go on at the last value.
    """

    support: Ints
    """(n_targets, max_atoms): columns of X in the order chosen, -1 after an early stop."""
    n_atoms: Ints
    """(n_targets,): number of atoms each target has."""
    mse: Mapping[str, Floats]
    """Mean squared error by set, ``"train"`` and each held-out one: (n_targets, max_atoms + 1)."""
    target_mean: Floats
    """(n_targets,): the training means, which are the prediction at sparsity 0."""
    atom_mean: Floats
    """(n_targets, max_atoms): training mean of each atom's column, 0 where there is none."""
    atom_norm: Floats
    """(n_targets, max_atoms): norm of each atom's centred training column, 1 where none."""
    triangle: Floats
    """(n_targets, cap, cap): upper factor R of the atoms' unit columns, Q R."""
    projection: Floats
    """(n_targets, cap): Q' y, in the target's units."""
    options: Options
    """What was asked for and what was used."""

    @property
    def max_atoms(self) -> int:
        """The largest sparsity that was asked for."""
        return self.options.max_atoms

    def best_sparsity(self, name: str) -> Ints:
        """(n_targets,): the smallest sparsity with the least error on the set ``name``."""
        best: Ints = np.argmin(self.mse[name], axis=1)
        return best

    def at_edge(self, name: str) -> npt.NDArray[np.bool_]:
        """(n_targets,): whether the best sparsity is ``max_atoms`` and there were more columns.

        A larger ``max_atoms`` may then do better.
        """
        more = self.options.n_candidates > self.max_atoms
        return np.asarray((self.best_sparsity(name) == self.max_atoms) & more)

    def coefficients(self, sparsity: int | npt.ArrayLike) -> tuple[Floats, Floats]:
        """Coefficients in the raw units of X, and intercepts, at one sparsity or one per target.

        Returns ``(values, intercept)``: values (n_targets, max_atoms) aligned with ``support``
        and 0 beyond the sparsity, intercept (n_targets,). A sparsity outside 0 to ``max_atoms``
        raises ValueError; one beyond an early stop gives the last fit.
        """
        values = np.zeros(self.support.shape)
        for target, size in enumerate(self._sizes(sparsity)):
            if size:
                solved = solve_triangular(
                    self.triangle[target, :size, :size], self.projection[target, :size]
                )
                values[target, :size] = solved / self.atom_norm[target, :size]
        return values, self.target_mean - (values * self.atom_mean).sum(axis=1)

    def predict(self, X: ArrayLike, sparsity: int | npt.ArrayLike) -> Floats:
        """Predictions (n_samples, n_targets) for X (n_samples, n_features) at a sparsity.

        Raises
        ------
        ValueError
            Another number of features than the path was made with.
        """
        data = numbers(X).cpu().numpy()
        needed = self.options.n_features
        if data.ndim != 2 or data.shape[1] != needed:
            raise ValueError(f"X needs shape (n_samples, {needed}), found {data.shape}")
        values, intercept = self.coefficients(sparsity)
        out = np.tile(intercept, (len(data), 1))
        for target, size in enumerate(self._sizes(sparsity)):
            atoms = self.support[target, :size]
            out[:, target] += data[:, atoms].astype(np.float64) @ values[target, :size]
        return out

    def _sizes(self, sparsity: int | npt.ArrayLike) -> Ints:
        wanted = np.broadcast_to(np.asarray(sparsity), self.n_atoms.shape)
        if wanted.size and (wanted.min() < 0 or wanted.max() > self.max_atoms):
            raise ValueError(f"sparsity must lie in 0 to {self.max_atoms}, not {wanted}")
        sizes: Ints = np.minimum(wanted, self.n_atoms)
        return sizes


def omp_path(
    X: ArrayLike,
    Y: ArrayLike,
    max_atoms: int,
    *,
    heldout: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    min_active: int = 1,
    patience: int | None = None,
    device: str | torch.device | None = None,
    screening: str = "auto",
) -> OmpPath:
    """Fit every target by orthogonal matching pursuit with an intercept, at every sparsity.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        The columns to choose from; float32 as it comes from a network (half floats and integers of
        up to 16 bits are read as float32, any other type as float64). The transpose of a
        feature-major array, (n_features, n_samples) in C order, is fastest. It is not copied.
    Y : array of shape (n_samples, n_targets) or (n_samples,)
        The targets.
    max_atoms : int
        The largest sparsity, at least 1. Centred data hold at most n_samples - 1 independent
        columns; the path stops there, and the result keeps the shape asked for.
    heldout : dict of name to (X, Y), optional
        Held-out sets with any number of rows; ``mse[name]`` has their errors.
    min_active : int
        Leave out columns that differ from 0 on fewer training samples. With 1, none but constant
        ones, as scikit-learn; a few dozen keep out units that fire on single samples, and
        `vrlprobe.probe` takes one in a hundred samples.
    patience : int, optional
        Stop a target once the error on the first held-out set has not improved for so many atoms;
        this saves time and can miss a later, better sparsity.
    device : str or torch.device, optional
        Such as "cpu" or "cuda"; where X lies if None.
    screening : {"auto", "float32", "bfloat16", "float16"}
        Precision of the rough scores; "auto" takes the one in which this processor is fastest. The
        result is the same.

    Raises
    ------
    ValueError
        Shapes that do not fit, no samples, options out of range, and NaN or infinite values.
    DeviceError
        torch cannot compute on the device.

    Notes
    -----
    Columns and targets are centred with the training means and the columns scaled to unit norm on
    the training rows alone. The next atom is the column with the largest absolute correlation with
    the residual; the lower index wins a tie (a relative gap under 1e-12). Never chosen: constant
    columns (a centred norm of at most 8 epsilon of X's type against the raw norm) and those that
    the chosen ones span. A constant target has no atoms. With two equal columns the first is taken
    and the other is then spent.

    Memory beside X: a copy of the training rows in the precision of the screening, the scores
    (n_targets, n_features) and the bases (n_targets, max_atoms, rows of all sets) in float64.
    """
    _check_options(max_atoms, min_active, patience, heldout)
    sets = training_and_heldout(X, Y, heldout, device)
    features, targets = zip(*sets.values(), strict=True)
    columns = Columns(features[0], min_active, screening)
    growth = Growth(columns, features[1:], targets, max_atoms, patience)
    growth.run()
    used = Options(
        max_atoms,
        min_active,
        patience,
        str(features[0].device),
        columns.screening,
        features[0].shape[1],
        len(columns.live),
    )
    return _result(growth, list(sets), used)


def _check_options(
    max_atoms: int, min_active: int, patience: int | None, heldout: Mapping[str, object] | None
) -> None:
    check_at_least(1, max_atoms=max_atoms, min_active=min_active)
    check_given(1, patience=patience)
    if patience is not None and not heldout:
        raise ValueError("patience needs a held-out set whose error it watches")


def _result(growth: Growth, names: list[str], used: Options) -> OmpPath:
    """The finished paths as arrays, column indices those of X."""
    live, chosen = growth.columns.live, growth.chosen
    support = torch.where(chosen < 0, -1, live[chosen] if len(live) else -1)
    return OmpPath(
        support=support.cpu().numpy(),
        n_atoms=growth.n_atoms.cpu().numpy(),
        mse=dict(zip(names, growth.errors.cpu().numpy(), strict=True)),
        target_mean=growth.mean.cpu().numpy(),
        atom_mean=growth.atom_mean.cpu().numpy(),
        atom_norm=growth.atom_norm.cpu().numpy(),
        triangle=growth.triangle.cpu().numpy(),
        projection=growth.projection.cpu().numpy(),
        options=used,
    )
