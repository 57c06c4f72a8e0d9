"""Fits of the probes to one layer's activations and the states, by the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import check_at_least, check_given
from vrlprobe.probes import DEFAULT_MAX_ATOMS, Scores
from vrlprobe.probes.arrays import ArrayLike
from vrlprobe.probes.kinds import PROBES
from vrlprobe.probes.mlp import mlp_fit
from vrlprobe.probes.omp import OmpPath, omp_path
from vrlprobe.probes.ridge import ridge_path
from vrlprobe.samples.sample_set import SPLITS

Floats = npt.NDArray[np.float64]
Sets = Mapping[str, tuple[ArrayLike, ArrayLike]]

ACTIVE_ONE_IN = 100


@dataclass(frozen=True)
class ProbeSettings:
    """Which probe is fitted, and its options."""

    probe: str = "omp"
    """A name out of `vrlprobe.probes.kinds.PROBES`."""
    max_atoms: int = DEFAULT_MAX_ATOMS
    """Of the sparse probe: the largest sparsity tried."""
    min_active: int | None = None
    """Of the sparse probe: training samples on which an atom differs from 0, at least. None is one
    in `ACTIVE_ONE_IN`: a unit that fires on a few samples fits their noise, and one test sample on
    which it fires again ruins the test error (an R² of -32 in the collapsed fixture's cnn1)."""
    device: str = "cpu"
    """Where networks run and probes are fitted, in torch's words."""

    def __post_init__(self) -> None:
        if self.probe not in PROBES:
            raise ValueError(f"the kind of probe is one of {', '.join(PROBES)}, not {self.probe!r}")
        check_at_least(1, max_atoms=self.max_atoms)
        check_given(1, min_active=self.min_active)
        for name in ("max_atoms", "min_active"):  # kept as JSON, which knows no number of numpy
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, int(value))

    def rarest(self, n_train: int) -> int:
        """Training samples on which a unit must differ from 0, of so many."""
        return self.min_active or max(1, n_train // ACTIVE_ONE_IN)


@dataclass(frozen=True)
class Fitted:
    """One layer's probe for every component."""

    scores: Scores
    """Errors, sparsity and whether it is at the edge, each (n_targets,)."""
    predict: Callable[[ArrayLike], Floats]
    """Predictions (n_samples, n_targets) for activations (n_samples, n_features)."""


def sparse_path(sets: Sets, settings: ProbeSettings) -> OmpPath:
    """The sparse probe's paths, one for each component, with the errors on all three sets."""
    rarest = settings.rarest(np.shape(sets["train"][1])[0])
    return omp_path(*sets["train"], settings.max_atoms, heldout=_heldout(sets), min_active=rarest)


def linear_weights(sets: Sets, settings: ProbeSettings) -> Floats:
    """Coefficients (n_targets, n_features) of a linear probe, at each target's best setting.

    Raises
    ------
    ValueError
        The kind of probe is not linear.
    """
    if settings.probe == "ridge":
        ridge = ridge_path(*sets["train"], heldout=_heldout(sets))
        return ridge.coefficients(ridge.best_penalty("val"))[0]
    if settings.probe != "omp":
        raise ValueError(f"a linear probe is omp or ridge, not {settings.probe!r}")
    path = sparse_path(sets, settings)
    best = path.best_sparsity("val")
    weights = np.zeros((len(best), _n_features(sets)))
    for target, (values, size) in enumerate(zip(path.coefficients(best)[0], best, strict=True)):
        weights[target, path.support[target, :size]] = values[:size]
    return weights


def fit_omp(sets: Sets, settings: ProbeSettings) -> Fitted:
    """The sparse probe at its best sparsity on the validation samples."""
    path = sparse_path(sets, settings)
    best = path.best_sparsity("val")
    scores = _scores(path.mse, best, best, path.at_edge("val"))
    return Fitted(scores, lambda X: path.predict(X, best))


def fit_ridge(sets: Sets, _: ProbeSettings) -> Fitted:
    """The ridge probe at its best penalty on the validation samples."""
    path = ridge_path(*sets["train"], heldout=_heldout(sets))
    best = path.best_penalty("val")
    edge = (best == 0) | (best == len(path.penalties) - 1)
    scores = _scores(path.mse, best, np.full(len(best), _n_features(sets)), edge)
    return Fitted(scores, lambda X: path.predict(X, best))


def fit_mlp(sets: Sets, _: ProbeSettings) -> Fitted:
    """The nonlinear probe at its best epoch on the validation samples."""
    fit = mlp_fit(*sets["train"], heldout=_heldout(sets))
    n_targets = len(fit.mse["train"])
    only = {name: errors[:, None] for name, errors in fit.mse.items()}
    every = np.full(n_targets, _n_features(sets))
    edge = np.full(n_targets, fit.at_edge)
    return Fitted(_scores(only, np.zeros(n_targets, int), every, edge), fit.predict)


def fit_probe(sets: Sets, settings: ProbeSettings) -> Fitted:
    """The probe that the settings name, fitted for every component."""
    module, _, name = PROBES[settings.probe].fit.partition(":")
    fitted: Fitted = getattr(import_module(module), name)(sets, settings)
    return fitted


def _heldout(sets: Sets) -> dict[str, tuple[ArrayLike, ArrayLike]]:
    return {name: sets[name] for name in SPLITS if name != "train"}


def _n_features(sets: Sets) -> int:
    return int(np.shape(sets["train"][0])[1])


def _scores(
    mse: Mapping[str, Floats],
    best: npt.NDArray[np.int64],
    sparsity: npt.NDArray[np.int64],
    at_edge: npt.NDArray[np.bool_],
) -> Scores:
    """Errors (n_targets, n_settings) at each target's best setting, and what goes with it."""
    every = np.arange(len(best))
    errors = {f"{name}_mse": mse[name][every, best] for name in SPLITS}
    return {**errors, "sparsity": sparsity, "at_edge": at_edge}
