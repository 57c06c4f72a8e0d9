"""The probes as scikit-learn estimators: `fit`, `predict`, `score`, in pipelines and searches.

Each chooses its one setting (sparsity, penalty, epochs) for every target on a validation set: the
one given to `fit`, or a share of the rows that it takes out of the training set itself.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor

from vrlprobe.probes import DEFAULT_MAX_ATOMS
from vrlprobe.probes.arrays import numbers
from vrlprobe.probes.mlp import EPOCHS, HIDDEN, PATIENCE, MlpFit, mlp_fit
from vrlprobe.probes.omp import OmpPath, omp_path
from vrlprobe.probes.ridge import PENALTIES, RidgePath, ridge_path

AnyArray = npt.NDArray[Any]
Sets = tuple[AnyArray, AnyArray, dict[str, tuple[AnyArray, AnyArray]]]
TYPES = [np.float64, np.float32]
"""What X may be; any other type becomes the first: integers lose digits in float32."""


def _array(values: Any) -> Any:
    """A tensor of any number type, device and history as an array; anything else as it is."""
    return numbers(values).numpy(force=True) if isinstance(values, Tensor) else values


class _Probe(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What all three share: checked input and where the validation set comes from."""

    validation_fraction: float
    random_state: int | np.random.RandomState | None
    device: str | None

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        X_val: npt.ArrayLike | None = None,
        y_val: npt.ArrayLike | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> Self:
        """Fit to X (n_samples, n_features) and y (n_samples,) or (n_samples, n_targets).

        Parameters
        ----------
        X_val, y_val : ArrayLike, optional
            Validation samples, both or neither.
        groups : array of shape (n_samples,), optional
            Without a validation set: samples that stay together in the split, such as those of one
            episode.

        Raises
        ------
        ValueError
            Shapes that do not fit, fewer than two samples, NaN or infinite values, one of X_val and
            y_val without the other, and a validation_fraction that is no share.
        DeviceError
            Where torch cannot compute on the device.
        """
        rules = {"multi_output": True, "y_numeric": True, "ensure_min_samples": 2}
        data, targets = validate_data(self, _array(X), _array(y), dtype=TYPES, **rules)
        self._where = self.device or (X.device if isinstance(X, Tensor) else None)
        self._flat = targets.ndim == 1
        self._fit(*self._sets(data, targets.reshape(len(targets), -1), X_val, y_val, groups))
        return self

    def predict(self, X: npt.ArrayLike) -> AnyArray:
        """Predictions for X (n_samples, n_features), in the shape that y had."""
        check_is_fitted(self)
        data = validate_data(self, _array(X), dtype=TYPES, reset=False)
        fitted: AnyArray = self._shaped(self._predict(data).T).T
        return fitted

    def _fit(self, X: AnyArray, Y: AnyArray, heldout: dict[str, tuple[AnyArray, AnyArray]]) -> None:
        raise NotImplementedError

    def _predict(self, X: AnyArray) -> AnyArray:
        raise NotImplementedError

    def _shaped(self, values: AnyArray) -> Any:
        """Something (n_targets, …) as it is shown: without its first axis for a flat y."""
        return values[0] if self._flat else values

    def _sets(
        self,
        X: AnyArray,
        Y: AnyArray,
        X_val: npt.ArrayLike | None,
        y_val: npt.ArrayLike | None,
        groups: npt.ArrayLike | None,
    ) -> Sets:
        """Training X and Y, and the validation set by its name."""
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val go together: one of them is missing")
        if X_val is not None:
            held_x = validate_data(self, _array(X_val), dtype=TYPES, reset=False)
            held_y = check_array(_array(y_val), ensure_2d=False, dtype=np.float64)
            return X, Y, {"val": (held_x, held_y.reshape(len(held_y), -1))}
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"validation_fraction must lie between 0 and 1, not {self.validation_fraction}"
            )
        groups = None if groups is None else _array(groups)
        if groups is not None and len(np.unique(groups)) < 2:
            raise ValueError(
                "groups has one group, at least two are needed: one is held out for validation "
                "(X_val and y_val give a validation set)"
            )
        kind = ShuffleSplit if groups is None else GroupShuffleSplit
        split = kind(1, test_size=self.validation_fraction, random_state=self.random_state)
        train, val = next(split.split(X, groups=groups))
        return X[train], Y[train], {"val": (X[val], Y[val])}


class SparseProbe(_Probe):
    """Orthogonal matching pursuit, each target's sparsity chosen on validation samples.

    The shapes of attributes are those for y of shape (n_samples,); for a matrix each has a first
    axis of targets.

    Parameters
    ----------
    max_atoms : int, default: 200
        The largest sparsity tried.
    min_active : int, default: 1
        Leave out columns that differ from 0 on fewer training samples; see `omp_path`.
    patience : int, optional
        Stop a target after so many atoms without a better validation error; see `omp_path`.
    device : str, optional
        Such as "cpu" or "cuda"; where X lies if None.
    validation_fraction : float, default: 0.2
        Share of the samples, or of their groups, that `fit` holds out.
    random_state : int or RandomState, default: 0
        Seed of that split.

    Attributes
    ----------
    coef_ : array of shape (n_features,)
        0 but at ``sparsity_`` places.
    intercept_ : float
        The prediction where all features are 0.
    sparsity_ : int
        Number of atoms.
    support_ : array of shape (largest sparsity,)
        The atoms in the order chosen, -1 beyond a target's own.
    at_edge_ : bool
        A larger ``max_atoms`` may do better.
    path_ : OmpPath
        Errors and coefficients at every sparsity.
    """

    def __init__(
        self,
        max_atoms: int = DEFAULT_MAX_ATOMS,
        *,
        min_active: int = 1,
        patience: int | None = None,
        device: str | None = None,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.max_atoms = max_atoms
        self.min_active = min_active
        self.patience = patience
        self.device = device
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _fit(self, X: AnyArray, Y: AnyArray, heldout: dict[str, tuple[AnyArray, AnyArray]]) -> None:
        self.path_: OmpPath = omp_path(
            X,
            Y,
            self.max_atoms,
            heldout=heldout,
            min_active=self.min_active,
            patience=self.patience,
            device=self._where,
        )
        self._best = self.path_.best_sparsity("val")
        values, intercept = self.path_.coefficients(self._best)
        atoms = np.where(np.arange(self.max_atoms) < self._best[:, None], self.path_.support, -1)
        coef = np.zeros((len(values), X.shape[1]))
        target, place = np.nonzero(atoms >= 0)
        coef[target, atoms[target, place]] = values[target, place]
        self.coef_, self.intercept_ = self._shaped(coef), self._shaped(intercept)
        self.sparsity_ = self._shaped(self._best)
        self.support_ = self._shaped(atoms[:, : self._best.max()])
        self.at_edge_ = self._shaped(self.path_.at_edge("val"))

    def _predict(self, X: AnyArray) -> AnyArray:
        return self.path_.predict(X, self._best)


class RidgeProbe(_Probe):
    """Ridge regression, each target's penalty chosen on validation samples.

    The shapes of attributes are those for y of shape (n_samples,); for a matrix each has a first
    axis of targets.

    Parameters
    ----------
    penalties : sequence of float
        Positive penalties to choose from; see `ridge_path`.
    device : str, optional
        Such as "cpu" or "cuda"; where X lies if None.
    validation_fraction : float, default: 0.2
        Share of the samples, or of their groups, that `fit` holds out.
    random_state : int or RandomState, default: 0
        Seed of that split.

    Attributes
    ----------
    coef_ : array of shape (n_features,)
        Coefficients of the features as they are, not scaled.
    intercept_ : float
        The prediction where all features are 0.
    penalty_ : float
        The penalty with the least validation error.
    path_ : RidgePath
        Errors and coefficients at every penalty.
    """

    def __init__(
        self,
        penalties: Sequence[float] = PENALTIES,
        *,
        device: str | None = None,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.penalties = penalties
        self.device = device
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _fit(self, X: AnyArray, Y: AnyArray, heldout: dict[str, tuple[AnyArray, AnyArray]]) -> None:
        self.path_: RidgePath = ridge_path(
            X, Y, self.penalties, heldout=heldout, device=self._where
        )
        self._best = self.path_.best_penalty("val")
        coef, intercept = self.path_.coefficients(self._best)
        self.coef_, self.intercept_ = self._shaped(coef), self._shaped(intercept)
        self.penalty_ = self._shaped(self.path_.penalties[self._best])

    def _predict(self, X: AnyArray) -> AnyArray:
        return self.path_.predict(X, self._best)


class MlpProbe(_Probe):
    """A network with one hidden layer for all targets, stopped by validation samples.

    Parameters
    ----------
    hidden, epochs, patience, seed : int
        Width, passes at most, epochs without a lower error, and the weights' seed; see `mlp_fit`.
    device : str, optional
        Such as "cpu" or "cuda"; where X lies if None.
    validation_fraction : float, default: 0.2
        Share of the samples, or of their groups, that `fit` holds out.
    random_state : int or RandomState, default: 0
        Seed of that split.

    Attributes
    ----------
    fit_ : MlpFit
        The network and its errors by epoch.
    """

    def __init__(
        self,
        hidden: int = HIDDEN,
        *,
        epochs: int = EPOCHS,
        patience: int = PATIENCE,
        seed: int = 0,
        device: str | None = None,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.patience = patience
        self.seed = seed
        self.device = device
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _fit(self, X: AnyArray, Y: AnyArray, heldout: dict[str, tuple[AnyArray, AnyArray]]) -> None:
        self.fit_: MlpFit = mlp_fit(
            X,
            Y,
            heldout=heldout,
            hidden=self.hidden,
            epochs=self.epochs,
            patience=self.patience,
            seed=self.seed,
            device=self._where,
        )

    def _predict(self, X: AnyArray) -> AnyArray:
        return self.fit_.predict(X)
