"""One layer's activations and the states, by whichever probe, to scores."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vrlprobe.probes import Scores
from vrlprobe.probes.arrays import ArrayLike
from vrlprobe.probes.registry import PROBES, ProbeSettings
from vrlprobe.samples.sample_set import SPLITS

Floats = npt.NDArray[np.float64]


def fit_layer(
    activations: Mapping[str, ArrayLike], states: Mapping[str, Floats], settings: ProbeSettings
) -> Scores:
    """Probe one layer for every component: errors and sparsity, each (n_components,).

    ``activations`` and ``states`` hold (n_samples, n_features) and (n_samples, n_components) for
    the sets train, val and test.
    """
    sets = {name: (activations[name], states[name]) for name in SPLITS}
    scores = PROBES[settings.probe](sets, settings)
    scores["test_r2"] = r_squared(scores["test_mse"], states["test"])
    return scores


def r_squared(errors: Floats, states: Floats) -> Floats:
    """1 - error / variance of the test states (n_samples, n_components); NaN for a constant."""
    variance = states.var(axis=0)
    moves = variance > 1e-24 * np.abs(states).max(axis=0, initial=0.0) ** 2
    undefined = np.full(len(variance), np.nan)
    found: Floats = 1.0 - np.divide(errors, variance, out=undefined, where=moves)
    return found
