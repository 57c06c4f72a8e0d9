"""What is measured of layers and agents: one table each, by the names in results."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vrlprobe.metrics.actions import action_entropy, action_std, saturated_share
from vrlprobe.metrics.representation import (
    DORMANT_DRM,
    correlation_neurons,
    correlation_samples,
    cosine_neurons,
    dead_units,
    dormant_ratio,
    effective_rank,
    numerical_rank,
    singular_values,
    srank,
    zero_fraction,
)

Matrix = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Layer:
    """A layer's activations, and what several metrics read of them."""

    activations: Matrix
    dormant_threshold: float = DORMANT_DRM

    @cached_property
    def singular_values(self) -> npt.NDArray[np.float64]:
        """Of the activations, computed once."""
        return singular_values(self.activations)


@dataclass(frozen=True)
class LayerMetric:
    """A metric of each layer.

    Attributes:
        text: its meaning, in files and tables.
        heading: of its column in figures.
        compute: from the activations; None where it is read of something else.
    """

    text: str
    heading: str
    compute: Callable[[Layer], float] | None = None


@dataclass(frozen=True)
class AgentMetric:
    """A metric of an agent as a whole.

    Attributes:
        text: its meaning, in files and tables.
        heading: of its column in figures.
        compute: from mean actions (n_samples, n_actions); None where it is read of something else.
        units: in files.
    """

    text: str
    heading: str
    compute: Callable[[Matrix], float] | None = None
    units: str = "1"


LAYERED = {
    "numerical_rank": LayerMetric(
        "(sum of singular values)² / sum of their squares",
        "rank",
        lambda layer: numerical_rank(layer.singular_values),
    ),
    "effective_rank": LayerMetric(
        "exponential of the entropy of the normalised singular values",
        "effective rank",
        lambda layer: effective_rank(layer.singular_values),
    ),
    "srank": LayerMetric(
        "fewest singular values that hold 99% of their sum",
        "srank (99%)",
        lambda layer: srank(layer.singular_values),
    ),
    "correlation_neurons": LayerMetric(
        "mean Pearson correlation over pairs of live units",
        "correlation of units",
        lambda layer: correlation_neurons(layer.activations),
    ),
    "cosine_neurons": LayerMetric(
        "mean cosine over pairs of live units",
        "cosine of units",
        lambda layer: cosine_neurons(layer.activations),
    ),
    "correlation_samples": LayerMetric(
        "mean cosine over pairs of samples",
        "correlation (cosine)",
        lambda layer: correlation_samples(layer.activations),
    ),
    "dead_units": LayerMetric(
        "units that are zero for every sample",
        "zeros (dead units)",
        lambda layer: dead_units(layer.activations),
    ),
    "zero_fraction": LayerMetric(
        "share of activations that are zero",
        "share of zeros",
        lambda layer: zero_fraction(layer.activations),
    ),
    "dormant_ratio": LayerMetric(
        "share of units that are small beside their layer's mean",
        "dormant ratio",
        lambda layer: dormant_ratio(layer.activations, layer.dormant_threshold),
    ),
    "grad_norm": LayerMetric(
        "gradient norm of the layer's weights under the actor loss, on the stored batch",
        "gradient norm",
    ),
}
"""What is measured of each layer."""
AGENT = {
    "episode_return": AgentMetric(
        "mean return of the checkpoint's rollout", "return", None, "reward"
    ),
    "action_spread": AgentMetric(
        "standard deviation of the mean action over the samples, mean over actions",
        "spread of actions",
        action_std,
    ),
    "saturated_share": AgentMetric(
        "share of mean actions of at least 0.99", "share saturated", saturated_share
    ),
    "action_entropy": AgentMetric(
        "entropy in nats of the mean action over the samples, in 20 bins an action",
        "entropy of actions",
        action_entropy,
    ),
}
"""What is measured of an agent."""


def layer_metrics(
    activations: Matrix, *, dormant_threshold: float = DORMANT_DRM
) -> dict[str, float]:
    """Every metric of a layer by its name in a result.

    NaN throughout where an activation is NaN or infinite.
    """
    computed = {name: item.compute for name, item in LAYERED.items() if item.compute}
    if not np.isfinite(activations).all():
        return dict.fromkeys(computed, float("nan"))
    layer = Layer(activations, dormant_threshold)
    return {name: compute(layer) for name, compute in computed.items()}


def action_metrics(actions: Matrix) -> dict[str, float]:
    """Every metric of mean actions (n_samples, n_actions) by its name in a result."""
    return {name: item.compute(actions) for name, item in AGENT.items() if item.compute}
