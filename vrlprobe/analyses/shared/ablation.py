"""A component's direction taken out of a layer, and what makes it an argument: the controls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vrlprobe import metrics as measure
from vrlprobe.agents.activations import extract_activations
from vrlprobe.agents.patch import Edit, patched, replaced, without_directions
from vrlprobe.analyses.shared.fits import fit_layer
from vrlprobe.analyses.shared.jobs import Network, Rows
from vrlprobe.analyses.shared.pairs import Bench, one_thread
from vrlprobe.errors import SampleError, VrlprobeError
from vrlprobe.probes import Scores
from vrlprobe.probes.principal import Principal
from vrlprobe.probes.registry import ProbeSettings, linear_weights
from vrlprobe.samples.sample_set import SPLITS, Stacked

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[np.float32]]

COMPUTED_BY = (
    *("_checks", "agents", "device", "envs", "metrics", "probes", "samples"),
    *("analyses/shared/ablation", "analyses/shared/fits", "analyses/shared/pairs"),
)
"""The modules whose code makes a trial's numbers out of a checkpoint and samples."""
CONTROLS = ("random", "shuffled", "units")
"""Random directions that remove as much variance as the probe's; directions of probes of other
episodes' states; the units with the largest share in the probe's prediction, set to their means."""
KINDS = ("pattern", "weights")
"""Of directions: the covariance of the activations with the probe's prediction (Haufe et al.,
2014), without which hardly anything of the component is left to read; or the probe's coefficients,
which avoid what the component shares with others, and of which other units hold copies."""
CONDITIONS = ("intact", "probe", *CONTROLS)
DRAWN = ("random", "shuffled")
"""Conditions that are drawn several times."""
TILTS = (-64.0, 64.0)
"""Ends of the exponents in which a random direction's variance is sought."""
HALVINGS = 60
AT_ONCE = 64
"""Observations of which actions are computed at a time."""


@dataclass(frozen=True)
class Question:
    """What is ablated in every agent, and how often each control is drawn."""

    layer: str
    component: str
    settings: ProbeSettings
    kind: str
    directions: int
    units: int


@dataclass(frozen=True)
class Trial:
    """One agent under one condition, to be probed and played; other processes can take it."""

    key: str
    network: Network
    rows: Rows
    question: Question
    condition: str
    draw: int
    bench: Bench

    def done(self) -> Iterator[tuple[str, Scores]]:
        """Its key and scores.

        Raises
        ------
        VrlprobeError
            It cannot play, or its activations or actions are not finite.
        """
        with one_thread():
            try:
                yield self.key, self._scores()
            except VrlprobeError as error:
                raise type(error)(f"{self.network}, {self.condition}: {error}") from error

    def _scores(self) -> Scores:
        agent, layer = self.network.agent(), self.question.layer
        seen = self.rows.observations()
        whole = extract_activations(agent, seen, layer)[layer]
        if not np.isfinite(whole).all():
            raise SampleError(f"layer {layer} has NaN or infinite activations")
        layers = {name: value.numpy() for name, value in self.rows.cut(_columns(whole)).items()}
        edit = make_edit(self, layers)
        test = self.rows.samples.stacked(self.rows.rows["test"])
        own = actions_of(agent, test)
        with patched(agent, {layer: edit}):
            changed = actions_of(agent, test)
        with patched(agent, {layer: edit}):
            returns = self.bench.returns(agent.act)
        scores = {
            "test_r2": self._fresh_r2(layers, edit),
            "variance_share": variance_share(layers["train"], edit),
            "action_spread": measure.action_std(changed),
            "action_rmse": float(np.sqrt(((changed - own).astype(np.float64) ** 2).mean())),
            "episode_return": returns,
        }
        return {name: np.asarray(value) for name, value in scores.items()}

    def _fresh_r2(self, layers: Arrays, edit: Edit) -> float:
        """R² on test episodes of a probe that is fitted to what the edit leaves."""
        left = {name: edited(values, edit) for name, values in layers.items()}
        scores = fit_layer(left, self.rows.states(), self.question.settings)
        return float(scores["test_r2"][0])


def _columns(values: npt.NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(values).T


def actions_of(agent: Any, seen: Stacked) -> npt.NDArray[np.float32]:
    """An agent's actions (n_samples, n_actions), a batch at a time."""
    total = seen.shape[0]
    parts = [
        agent.act(seen[slice(start, min(start + AT_ONCE, total))])
        for start in range(0, total, AT_ONCE)
    ]
    return np.concatenate(parts)


def edited(values: npt.NDArray[np.float32], edit: Edit) -> npt.NDArray[np.float32]:
    """Activations (n_samples, n_features) after an edit."""
    return edit(torch.from_numpy(values), slice(0, len(values))).numpy()


def variance_share(values: npt.NDArray[np.float32], edit: Edit) -> float:
    """Share of a layer's variance that an edit removes; NaN where nothing varies."""
    before, after = (
        float(each.var(axis=0, dtype=np.float64).sum()) for each in (values, edited(values, edit))
    )
    return 1 - after / before if before else float("nan")


def make_edit(trial: Trial, layers: Arrays) -> Edit:
    """What is done to the layer in a trial."""
    asked, rows = trial.question, trial.rows
    states = rows.states()
    centre = layers["train"].mean(axis=0, dtype=np.float64)
    if trial.condition == "intact":
        return lambda found, _: found.clone()
    if trial.condition == "units":
        return replaced(centre, strongest_units(layers, states, asked))
    if trial.condition == "shuffled":
        every = rows.samples.shuffled_states(trial.draw + 1)
        column = rows.samples.components.index(asked.component)
        states = {name: every[rows.rows[name]][:, [column]] for name in SPLITS}
    directions = probe_directions(layers, states, asked)
    if trial.condition == "random":
        rng = np.random.default_rng(trial.draw)
        directions = matched_directions(layers["train"], directions, rng)
    if not len(directions):
        return lambda found, _: found.clone()
    return without_directions(directions, centre)


def strongest_units(
    layers: Arrays, states: Mapping[str, Floats], asked: Question
) -> npt.NDArray[np.int64]:
    """The units whose coefficient times standard deviation is largest, the strongest first."""
    weights = _weights(layers, states, asked)
    strength = np.abs(weights) * layers["train"].std(axis=0, dtype=np.float64)
    found: npt.NDArray[np.int64] = np.argsort(-strength, kind="stable")[: asked.units]
    return found


def probe_directions(layers: Arrays, states: Mapping[str, Floats], asked: Question) -> Floats:
    """Directions of linear probes, each fitted to what the ones before it leave.

    Returns
    -------
    array of shape (n_directions, n_features)
        Orthonormal; fewer than asked for where a probe is constant.

    References
    ----------
    Ravfogel et al. (2020), "Null It Out", for the iteration.
    """
    width = layers["train"].shape[1]
    centre = layers["train"].mean(axis=0, dtype=np.float64)
    found = np.empty((0, width))
    left = layers
    for _ in range(min(asked.directions, width)):
        new = _orthogonal(_direction(left, states, asked), found)
        if new is None:
            break
        found = np.vstack([found, new])
        edit = without_directions(found, centre)
        left = {name: edited(values, edit) for name, values in layers.items()}
    return found


def _direction(layers: Arrays, states: Mapping[str, Floats], asked: Question) -> Floats:
    """The direction of one kind that a probe gives, of any length."""
    weights = _weights(layers, states, asked)
    if asked.kind == "weights":
        return weights
    centred = layers["train"] - layers["train"].mean(axis=0, dtype=np.float64)
    found: Floats = centred.T @ (centred @ weights)
    return found


def _weights(layers: Arrays, states: Mapping[str, Floats], asked: Question) -> Floats:
    sets = {name: (layers[name], states[name]) for name in SPLITS}
    found: Floats = linear_weights(sets, asked.settings)[0]
    return found


def _orthogonal(vector: Floats, basis: Floats) -> Floats | None:
    """A vector's direction at right angles to orthonormal rows; None where nothing is left."""
    length = np.linalg.norm(vector)
    for _ in range(2):  # once leaves rounding of the first subtraction
        vector = vector - (basis @ vector) @ basis
    left = np.linalg.norm(vector)
    return vector / left if left > 1e-9 * length else None


def matched_directions(
    train: npt.NDArray[np.float32], directions: Floats, rng: np.random.Generator
) -> Floats:
    """As many random orthonormal directions, each removing as much variance as its counterpart.

    Parameters
    ----------
    train : array of shape (n_samples, n_features)
    directions : array of shape (n_directions, n_features)
        Orthonormal.
    rng : numpy.random.Generator
    """
    centre = train.mean(axis=0, dtype=np.float64)
    wanted = (((train - centre) @ directions.T) ** 2).sum(axis=0)
    found = np.empty((0, train.shape[1]))
    left = train
    for variance in wanted:
        new = _orthogonal(_with_variance(left, float(variance), rng), found)
        if new is None:
            break
        found = np.vstack([found, new])
        left = edited(train, without_directions(found, centre))
    return found


def _with_variance(
    train: npt.NDArray[np.float32], variance: float, rng: np.random.Generator
) -> Floats:
    """A random direction along which the centred samples' sum of squares is a given one.

    Along axis i with sum of squares s the direction is a normal draw times a power of s: the power
    is the one that gives the sum asked for, or the nearest that the axes allow.
    """
    principal = Principal.of(torch.from_numpy(np.ascontiguousarray(train)))
    sizes = principal.variance.numpy()
    if not len(sizes):
        return np.zeros(train.shape[1])
    normal = rng.standard_normal(len(sizes))
    low, high = TILTS
    logs = np.log(sizes / sizes[0])
    for _ in range(HALVINGS):
        power = (low + high) / 2
        share = _shares(normal, logs, power)
        low, high = (power, high) if share @ sizes < variance else (low, power)
    along = np.sign(normal) * np.sqrt(_shares(normal, logs, (low + high) / 2))
    found: Floats = principal.back(torch.from_numpy(along[:, None]))[:, 0].numpy()
    return found


def _shares(normal: Floats, logs: Floats, power: float) -> Floats:
    """Squared coordinates of the direction, which sum to 1."""
    exponents = 2 * np.log(np.abs(normal)) + power * logs
    found = np.exp(exponents - exponents.max())
    shares: Floats = found / found.sum()
    return shares


def changes(returns: Floats) -> Floats:
    """Change of return of each episode from that of the intact agent on the same initial state.

    Parameters
    ----------
    returns : array of shape (n_conditions, n_draws, n_episodes)
        In the order of `CONDITIONS`; NaN where a condition is not drawn.

    Returns
    -------
    array of shape (n_conditions, n_episodes)
        Means over draws.
    """
    drawn = [np.nanmean(each[~np.isnan(each).all(axis=1)], axis=0) for each in returns]
    found: Floats = np.stack(drawn) - drawn[0]
    return found


def draws_of(condition: str, draws: int) -> Sequence[int]:
    """The draws of a condition."""
    return range(draws if condition in DRAWN else 1)
