"""How much better the state can be read from one agent than from another, part by part."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vrlprobe.agents.activations import extract_activations
from vrlprobe.probes.ridge import ridge_path
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.stats.bootstrap import RESAMPLES, draws_interval

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 4
"""Of the episodes: each is tested by probes that are fitted on the others."""
PARTS = {"encoder": "encoder", "actor": "actor"}
"""Parts, and the begin of their layers' places in the agent."""


def layers_of(agent: Any, layers: Sequence[str], part: str) -> list[str]:
    """The layers of an agent that lie in a part."""
    return [name for name in layers if agent.layers[name].split(".")[0] == PARTS[part]]


def explained(agent: Any, samples: SampleSet, rows: Ints, layers: Sequence[str]) -> Floats:
    """Squared errors of ridge probes for episodes that they were not fitted to.

    Parameters
    ----------
    agent : agent
    samples : SampleSet
    rows : array of shape (n_rows,)
        The samples to take.
    layers : list of str

    Returns
    -------
    array of shape (n_layers, n_components, n_episodes)
        Mean squared error as a share of the component's variance, by episode.
    """
    seen, states = samples.observations(rows), samples.states[rows]
    episodes = samples.episodes[rows]
    moves = states.std(axis=0) > 1e-9 * np.abs(states).max(axis=0)
    states = states[:, moves] / states[:, moves].std(axis=0)
    found = []
    for name in layers:
        values = extract_activations(agent, seen, name)[name]
        errors = np.empty_like(states)
        for train, val, test in folds(episodes):
            heldout = {"val": (values[val], states[val])}
            path = ridge_path(values[train], states[train], heldout=heldout)
            errors[test] = (
                path.predict(values[test], path.best_penalty("val")) - states[test]
            ) ** 2
        each = np.unique(episodes)
        found.append(np.stack([errors[episodes == e].mean(axis=0) for e in each], axis=1))
    return np.stack(found)


def folds(episodes: Ints) -> list[tuple[Ints, Ints, Ints]]:
    """Rows of training, validation and test episodes, in so many turns that each is tested once."""
    each = np.unique(episodes)
    place = np.searchsorted(each, episodes) % min(FOLDS, len(each))
    count = place.max() + 1
    turns = []
    for test in range(count):
        val = (test + 1) % count
        train = np.flatnonzero((place != test) & ((place != val) | (count < 3)))
        turns.append((train, np.flatnonzero(place == val), np.flatnonzero(place == test)))
    return turns


def r2_gap(good: Floats, bad: Floats, seed: int) -> list[float]:
    """R² of one agent minus that of another, mean over layers and components, with its interval.

    Parameters
    ----------
    good, bad : array of shape (n_layers, n_components, n_episodes)
        Errors as `explained` gives them, for the same episodes.
    seed : int
        Of the bootstrap over episodes.

    Returns
    -------
    list of float
        Estimate, lower and upper end of the 95% interval; NaN ends for fewer than six episodes.
    """
    each = bad.mean(axis=(0, 1)) - good.mean(axis=(0, 1))
    count = len(each)
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    low, high = draws_interval(each[drawn].mean(axis=1), count)
    return [float(each.mean()), float(low), float(high)]
