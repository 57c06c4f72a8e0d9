"""One layer's activations and the states, by whichever probe, to scores."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vrlprobe.probes import Scores
from vrlprobe.probes.arrays import ArrayLike
from vrlprobe.probes.columns import live_columns
from vrlprobe.probes.registry import Fitted, ProbeSettings, fit_probe
from vrlprobe.samples.sample_set import SPLITS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WIDTH_DRAWS = 5
"""Random subsets of a layer's units over which the control of one width is averaged."""


def fit_layer(
    activations: Mapping[str, ArrayLike],
    states: Mapping[str, Floats],
    settings: ProbeSettings,
    episodes: Ints | None = None,
) -> Scores:
    """Probe one layer for every component: errors and sparsity, each (n_components,).

    ``activations`` and ``states`` hold (n_samples, n_features) and (n_samples, n_components) for
    the sets train, val and test. With ``episodes``, that of each test sample, the scores have
    `episode_mse` (n_components, n_episodes), in the order of the episodes' numbers.
    """
    sets = {name: (activations[name], states[name]) for name in SPLITS}
    fitted = fit_probe(sets, settings)
    scores = {**fitted.scores, "test_r2": r_squared(fitted.scores["test_mse"], states["test"])}
    if episodes is not None:
        scores["episode_mse"] = _episode_errors(fitted, *sets["test"], episodes)
    return scores


def _episode_errors(fitted: Fitted, X: ArrayLike, Y: Floats, episodes: Ints) -> Floats:
    """Mean squared errors (n_components, n_episodes), one episode at a time: wide layers are big.

    X : (n_samples, n_features); Y : (n_samples, n_components); episodes : (n_samples,).
    """
    data = X if isinstance(X, Tensor) else np.asarray(X)
    errors = []
    for episode in np.unique(episodes):
        rows = np.flatnonzero(episodes == episode)
        errors.append(((fitted.predict(data[rows]) - Y[rows]) ** 2).mean(axis=0))
    return np.stack(errors, axis=1)


def fit_narrowed(
    activations: Mapping[str, Tensor],
    states: Mapping[str, Floats],
    settings: ProbeSettings,
    width: int,
) -> Scores:
    """Probe ``width`` random live units of a layer, averaged over `WIDTH_DRAWS` draws.

    A unit is live where the sparse probe may choose it; a layer that has no more of them than
    ``width`` is probed on all of these, and one that has none on all of its units.

    activations, states, settings : as for `fit_layer`.
    """
    draws = [
        fit_layer(
            {name: values.T[units].T for name, values in activations.items()}, states, settings
        )
        for units in random_units(activations["train"], settings, width)
    ]
    mean = {name: np.mean([scores[name] for scores in draws], axis=0) for name in draws[0]}
    return {**mean, "sparsity": np.rint(mean["sparsity"]).astype(np.int64)}


def random_units(train: Tensor, settings: ProbeSettings, width: int) -> list[Tensor]:
    """Units (width,) of each draw, in ascending order; see `fit_narrowed`.

    train : (n_samples, n_features).
    """
    live = live_columns(train, settings.rarest(len(train)))
    if not len(live):
        live = torch.arange(train.shape[1], device=train.device)
    if len(live) <= width:
        return [live]
    orders = (np.random.default_rng(draw).permutation(len(live)) for draw in range(WIDTH_DRAWS))
    return [live[np.sort(order[:width])] for order in orders]


def r_squared(errors: Floats, states: Floats) -> Floats:
    """1 - error / variance of the test states (n_samples, n_components); NaN for a constant."""
    variance = states.var(axis=0)
    moves = variance > 1e-24 * np.abs(states).max(axis=0, initial=0.0) ** 2
    undefined = np.full(len(variance), np.nan)
    found: Floats = 1.0 - np.divide(errors, variance, out=undefined, where=moves)
    return found
