"""Probes: what of the state a layer's activations hold."""

DEFAULT_MAX_ATOMS = 200
"""Neurons that a sparse probe may take, the most of which its sparsity is chosen."""
