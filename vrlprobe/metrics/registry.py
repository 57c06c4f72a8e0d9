"""What is measured of layers and agents, by the names in results."""

from typing import Any

import numpy as np
import numpy.typing as npt

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

LAYERED = {
    "numerical_rank": "(sum of singular values)² / sum of their squares",
    "effective_rank": "exponential of the entropy of the normalised singular values",
    "srank": "fewest singular values that hold 99% of their sum",
    "correlation_neurons": "mean Pearson correlation over pairs of live units",
    "cosine_neurons": "mean cosine over pairs of live units",
    "correlation_samples": "mean cosine over pairs of samples",
    "dead_units": "units that are zero for every sample",
    "zero_fraction": "share of activations that are zero",
    "dormant_ratio": "share of units that are small beside their layer's mean",
    "grad_norm": "gradient norm of the layer's weights under the actor loss, on the stored batch",
}
"""What is measured of each layer."""
AGENT = {
    "episode_return": "mean return of the checkpoint's rollout",
    "action_spread": "standard deviation of the mean action over the samples, mean over actions",
    "saturated_share": "share of mean actions of at least 0.99",
    "action_entropy": "entropy in nats of the mean action over the samples, in 20 bins an action",
}
"""What is measured of an agent."""


def layer_metrics(
    activations: Matrix, *, dormant_threshold: float = DORMANT_DRM
) -> dict[str, float]:
    """Every metric of a layer by its name in a result; the singular values are computed once."""
    values = singular_values(activations)
    return {
        "numerical_rank": numerical_rank(values),
        "effective_rank": effective_rank(values),
        "srank": srank(values),
        "correlation_neurons": correlation_neurons(activations),
        "cosine_neurons": cosine_neurons(activations),
        "correlation_samples": correlation_samples(activations),
        "dead_units": dead_units(activations),
        "zero_fraction": zero_fraction(activations),
        "dormant_ratio": dormant_ratio(activations, dormant_threshold),
    }
