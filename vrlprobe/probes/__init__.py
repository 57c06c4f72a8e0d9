"""Probes: what of the state a layer's activations hold."""

from typing import Any

import numpy.typing as npt

DEFAULT_MAX_ATOMS = 200
"""Neurons that a sparse probe may take, the most of which its sparsity is chosen."""

Scores = dict[str, npt.NDArray[Any]]
"""What a fit gives, by name, each (n_components,)."""
