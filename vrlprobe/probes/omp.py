"""Orthogonal matching pursuit for many targets at once: the whole sparse path, errors included.

The probe of the paper's section 4.1 (equation 1): a component of the state as a linear function of
at most r activations. One call fits every target on the same columns and returns the fit at every
sparsity, so that a validation set can choose r.

Screening is in float32 (one matrix product a step over all targets and columns), the decision in
float64: every column that the screening error leaves in question is scored again from the raw data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import solve_triangular

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]
ArrayLike = npt.ArrayLike | torch.Tensor

TIE = 1e-12
"""Two scores whose relative gap is smaller are equal: the lower column index is taken."""
EXACT = 1e-12
"""A target is met when its residual is at most this share of the centred target."""
DEPENDENT = 1e-8
"""A column is spent when at most this share of it lies outside the chosen columns' span."""
BLOCK = 2048
"""Columns handled at a time in float64, so that no float64 copy of the data is ever whole."""


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

    @property
    def max_atoms(self) -> int:
        """The largest sparsity that was asked for."""
        return int(self.support.shape[1])

    def best_sparsity(self, name: str) -> Ints:
        """(n_targets,): the smallest sparsity with the least error on the set ``name``."""
        best: Ints = np.argmin(self.mse[name], axis=1)
        return best

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
        """Predictions (n_samples, n_targets) for X (n_samples, n_features) at a sparsity."""
        data = _array(X)
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
) -> OmpPath:
    """Fit every target by orthogonal matching pursuit with an intercept, at every sparsity.

    X : (n_samples, n_features), the columns to choose from; float32 as it comes from a network
        (integers and half floats are read as float32, float64 stays).
    Y : (n_samples, n_targets) or (n_samples,), the targets.
    max_atoms : the largest sparsity, at least 1. Centred data hold at most n_samples - 1
        independent columns; the path stops there, and the result keeps the shape asked for.
    heldout : name -> (X, Y) with any number of rows; their errors come along in ``mse[name]``.

    Columns and targets are centred with the training means and the columns scaled to unit norm on
    the training rows alone. The next atom is the column with the largest absolute correlation with
    the residual; the lower index wins a tie. Never chosen: constant columns (a centred norm of at
    most 8 epsilon of X's type against the raw norm) and those that the chosen ones span. A constant
    target has no atoms. With two equal columns the first is taken and the other is then spent.

    Raises ValueError for shapes that do not fit, no samples, and NaN or infinite values.
    """
    data, targets = _pair("", X, Y)
    if max_atoms < 1:
        raise ValueError(f"max_atoms must be at least 1, not {max_atoms}")
    sets = {name: _pair(f" of {name!r}", *pair) for name, pair in (heldout or {}).items()}
    for name, (held_x, held_y) in sets.items():
        if name == "train":
            raise ValueError("the name 'train' is taken by the training set")
        if held_x.shape[1] != data.shape[1] or held_y.shape[1] != targets.shape[1]:
            raise ValueError(
                f"held-out set {name!r} has {held_x.shape[1]} features and {held_y.shape[1]} "
                f"targets, the training set {data.shape[1]} and {targets.shape[1]}"
            )
    columns = _Columns(data, [held_x for held_x, _ in sets.values()])
    paths = _Paths(columns, [targets, *(held_y for _, held_y in sets.values())], max_atoms)
    while paths.step():
        pass
    return paths.result(["train", *sets])


class _Columns:
    """The columns to choose from: unit copies to screen in float32, exact ones on request."""

    def __init__(self, train: AnyArray, heldout: list[AnyArray]) -> None:
        self.sets = [train, *heldout]
        n_samples, n_features = train.shape
        self.mean, self.norm = np.zeros(n_features), np.ones(n_features)
        self.unit = torch.empty((n_features, n_samples), dtype=torch.float32)
        live: list[Ints] = []
        filled = 0
        for start in range(0, n_features, BLOCK):
            part = slice(start, start + BLOCK)
            raw = train[:, part].astype(np.float64)
            self.mean[part] = mean = raw.mean(axis=0)
            centred = raw - mean
            norm = np.sqrt(np.einsum("ij,ij->j", centred, centred))
            alive = np.flatnonzero(~_is_constant(norm, raw, train.dtype))
            self.norm[start + alive] = norm[alive]
            unit = (centred[:, alive] / norm[alive]).T
            self.unit[filled : filled + len(alive)] = torch.from_numpy(unit.astype(np.float32))
            filled += len(alive)
            live.append(start + alive)
        self.live = np.concatenate(live) if live else np.zeros(0, dtype=np.int64)
        self.unit = self.unit[:filled]
        # Rounding of both factors and of a blocked float32 sum, with a wide margin.
        self.error = 4 * np.sqrt(max(n_samples, 16)) * float(np.finfo(np.float32).eps)

    def screen(self, residuals: Floats) -> npt.NDArray[np.float32]:
        """Absolute scores (n_targets, n_live) of unit residuals, within ``error`` of exact."""
        right = torch.from_numpy(residuals.astype(np.float32))
        return np.ascontiguousarray((self.unit @ right.T).abs_().numpy().T)

    def exact(self, rows: Ints, residuals: Floats) -> Floats:
        """Absolute scores (n_targets, n_rows) in float64 from the raw columns ``live[rows]``."""
        out = np.empty((len(residuals), len(rows)))
        for start in range(0, len(rows), BLOCK):
            which = self.live[rows[start : start + BLOCK]]
            centred = self.sets[0][:, which].astype(np.float64) - self.mean[which]
            out[:, start : start + BLOCK] = np.abs(residuals @ centred) / self.norm[which]
        return out

    def column(self, index: int) -> Floats:
        """One column over the rows of all sets, centred and scaled by its training rows."""
        rows: Floats = np.concatenate([data[:, index].astype(np.float64) for data in self.sets])
        rows -= self.mean[index]
        rows /= self.norm[index]
        return rows


class _Paths:
    """All targets' paths as they grow; rows of every set side by side, the training rows first."""

    def __init__(self, columns: _Columns, targets: list[AnyArray], max_atoms: int) -> None:
        self.columns = columns
        self.lengths = [len(part) for part in targets]
        n_train, n_targets = targets[0].shape
        cap = max(0, min(max_atoms, n_train - 1, len(columns.live)))
        raw = targets[0].astype(np.float64)
        self.mean = raw.mean(axis=0)
        norm = np.linalg.norm(raw - self.mean, axis=0)
        constant = _is_constant(norm, raw, targets[0].dtype)
        self.scale = np.where(constant, 1.0, norm)
        stacked = np.concatenate(targets).astype(np.float64)
        self.residual = np.ascontiguousarray(((stacked - self.mean) / self.scale).T)
        self.residual[constant, :n_train] = 0.0
        self.active = ~constant
        self.basis = np.zeros((n_targets, cap, sum(self.lengths)))
        self.triangle = np.zeros((n_targets, cap, cap))
        self.projection = np.zeros((n_targets, cap))
        self.chosen = np.full((n_targets, max_atoms), -1, dtype=np.int64)  # rows of columns.unit
        self.n_atoms = np.zeros(n_targets, dtype=np.int64)
        self.cap = cap
        self.errors = np.zeros((len(targets), n_targets, max_atoms + 1))
        self._record(0)

    def step(self) -> bool:
        """Give each active target its next atom; False when no target is active any more."""
        at = int(self.n_atoms.max(initial=0))
        going = np.flatnonzero(self.active)
        if at >= self.cap or not len(going):
            self.errors[:, :, at:] = self.errors[:, :, at : at + 1]
            return False
        for target, row in zip(going, self._choose(going), strict=True):
            self.active[target] = row >= 0 and self._extend(int(target), int(row))
        self._record(at + 1)
        return True

    def _choose(self, going: Ints) -> list[int]:
        """The best row of ``columns.unit`` for each target, -1 where nothing correlates."""
        n_train = self.lengths[0]
        residuals = self.residual[going, :n_train]
        residuals = residuals / np.linalg.norm(residuals, axis=1, keepdims=True)
        rough = self.columns.screen(residuals)
        taken = self.chosen[going, : self.cap]
        where, which = np.nonzero(taken >= 0)
        rough[where, taken[where, which]] = -1.0
        floor = np.maximum(rough.max(axis=1) - 2 * self.columns.error, 0.0)
        contenders = rough >= floor[:, None]
        rows = np.flatnonzero(contenders.any(axis=0))
        scores = np.where(contenders[:, rows], self.columns.exact(rows, residuals), -1.0)
        best = scores.max(axis=1, initial=-1.0)
        first = np.argmax(scores >= (best * (1 - TIE))[:, None], axis=1)
        return [int(rows[i]) if top > EXACT else -1 for i, top in zip(first, best, strict=True)]

    def _extend(self, target: int, row: int) -> bool:
        """Add one atom; False, and nothing added, when the chosen columns already span it.

        Two passes of Gram-Schmidt on the training rows; the held-out rows take the same
        coefficients, so their residual is that of the refitted model.
        """
        n_train, at = self.lengths[0], int(self.n_atoms[target])
        new = self.columns.column(int(self.columns.live[row]))
        done = self.basis[target, :at]
        for _ in range(2):
            part = done[:, :n_train] @ new[:n_train]
            new -= part @ done
            self.triangle[target, :at, at] += part
        length = float(np.linalg.norm(new[:n_train]))
        if length <= DEPENDENT:
            self.triangle[target, :at, at] = 0.0
            return False
        new /= length
        residual = self.residual[target]
        amount = float(new[:n_train] @ residual[:n_train])
        residual -= amount * new
        self.basis[target, at] = new
        self.triangle[target, at, at] = length
        self.projection[target, at] = amount * self.scale[target]
        self.chosen[target, at] = row
        self.n_atoms[target] += 1
        return float(np.linalg.norm(residual[:n_train])) > EXACT

    def _record(self, at: int) -> None:
        """Mean squared errors of all sets with ``at`` atoms, in the targets' units."""
        start = 0
        for index, length in enumerate(self.lengths):
            part = self.residual[:, start : start + length]
            self.errors[index, :, at] = np.mean(part**2, axis=1) * self.scale**2
            start += length

    def result(self, names: list[str]) -> OmpPath:
        """The finished paths, column indices those of X."""
        none = self.chosen < 0
        live = self.columns.live
        support = np.where(none, -1, live[self.chosen] if len(live) else -1)
        return OmpPath(
            support=support.astype(np.int64),
            n_atoms=self.n_atoms,
            mse=dict(zip(names, self.errors, strict=True)),
            target_mean=self.mean,
            atom_mean=np.where(none, 0.0, self.columns.mean[support]),
            atom_norm=np.where(none, 1.0, self.columns.norm[support]),
            triangle=self.triangle,
            projection=self.projection,
        )


def _is_constant(norm: Floats, raw: Floats, dtype: np.dtype[Any]) -> npt.NDArray[np.bool_]:
    """Which columns vary by no more than the rounding of their own type."""
    eps = np.finfo(dtype).eps if np.issubdtype(dtype, np.floating) else np.finfo(np.float64).eps
    size = np.sqrt(np.einsum("ij,ij->j", raw, raw))
    return np.asarray(norm <= 8 * float(eps) * size)


def _pair(label: str, X: ArrayLike, Y: ArrayLike) -> tuple[AnyArray, AnyArray]:
    """X and Y as two-dimensional float arrays with the same, positive, number of finite rows."""
    data, targets = _array(X), _array(Y, np.float64)
    if targets.ndim == 1:
        targets = targets[:, None]
    if data.ndim != 2 or targets.ndim != 2 or len(data) != len(targets):
        raise ValueError(
            f"X{label} must be (n_samples, n_features) and Y (n_samples, n_targets), "
            f"not {data.shape} and {targets.shape}"
        )
    if not data.size:
        raise ValueError(f"X{label} is empty: {data.shape[0]} samples, {data.shape[1]} features")
    for name, values in (("X", data), ("Y", targets)):
        bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
        if len(bad):
            raise ValueError(
                f"{name}{label} has NaN or infinite values in {len(bad)} of {values.shape[1]} "
                f"columns, the first of them column {bad[0]}"
            )
    return data, targets


def _array(values: ArrayLike, otherwise: type = np.float32) -> AnyArray:
    """The values as they are when float32 or float64, else converted to ``otherwise``."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(otherwise)
