"""What keeps a collapsed agent where it is: dead units, saturation, moments, values."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vrlprobe import metrics as measure
from vrlprobe.agents.activations import extract_activations
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.runs.reader import Run

Values = dict[str, float]

Q_ACTIONS = 16
"""Uniform actions over which Q's spread is taken, as in a log's `q_spread`."""


def variation(values: npt.NDArray[np.float32]) -> float:
    """Share of a layer's mean square that varies over the samples; 0 where all is zero."""
    wide = np.asarray(values, np.float64)
    square = float((wide**2).mean())
    return float(wide.var(axis=0).mean()) / square if square else 0.0


def layer_state(agent: Any, seen: npt.NDArray[np.uint8], layers: list[str]) -> dict[str, Values]:
    """By measure and layer: variation, numerical rank, and the share of units that never move.

    Parameters
    ----------
    agent : agent
    seen : array of shape (n_samples, channels, height, width)
        uint8 observations.
    layers : list of str
    """
    found: dict[str, Values] = {"variation": {}, "numerical_rank": {}, "constant_share": {}}
    for name in layers:
        values = extract_activations(agent, seen, name)[name]
        found["variation"][name] = variation(values)
        found["constant_share"][name] = float((np.ptp(values, axis=0) == 0).mean())
        rank = measure.numerical_rank(measure.singular_values(values))
        found["numerical_rank"][name] = rank
    return found


def weight_norms(run: Run, frame: int) -> Values:
    """Norm of every weight matrix and kernel of a checkpoint, target networks left out."""
    return {
        name: float(np.linalg.norm(values.astype(np.float64)))
        for name, values in run.parameters(frame).items()
        if values.ndim > 1 and not name.startswith("critic_target/")
    }


def effective_steps(run: Run, frame: int) -> Values:
    """Root mean square of the gradient, as a share of Adam's, by weight; empty if not logged.

    Adam divides by its own running value: well below 1, large gradients of the past keep the steps
    small.
    """
    log = run.log
    if not {"grad_rms", "adam_rms"} <= set(log.data_vars):
        return {}
    row = run.row(frame)
    gradient, moment = (log[name].isel(frame=row) for name in ("grad_rms", "adam_rms"))
    return {
        str(name): float(one) / float(other)
        for name, one, other in zip(gradient["weight"].values, gradient, moment, strict=True)
        if float(other) > 0 and np.isfinite(float(one))
    }


def tanh_inputs(agent: Any, seen: npt.NDArray[np.uint8]) -> Values:
    """Mean magnitude of what enters each tanh; empty for other architectures than DrQ-v2."""
    if not isinstance(agent, DrQV2Agent):
        return {}
    return {name: float(np.abs(v).mean()) for name, v in agent.pre_tanh(seen).items()}


def q_state(agent: Any, seen: npt.NDArray[np.uint8], n_actions: int) -> Values:
    """`q_spread` over uniform actions, and `critic_rank` of the critic's trunk; empty without one.

    Parameters
    ----------
    agent : agent
    seen : array of shape (n_samples, channels, height, width)
    n_actions : int
    """
    if not isinstance(agent, DrQV2Agent) or agent.critic is None:
        return {}
    actions = np.random.default_rng(0).uniform(-1, 1, (Q_ACTIONS, n_actions)).astype(np.float32)
    values = agent.q_values(seen, actions)
    trunk = np.tanh(agent.pre_tanh(seen)["critic/trunk"])
    return {
        "q_spread": float(values.std(axis=1).mean()),
        "critic_rank": measure.numerical_rank(measure.singular_values(trunk)),
    }
