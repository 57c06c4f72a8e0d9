"""Features like those of a network, and their unit columns in float64."""

import numpy as np


def relu_features(rng, n_samples, n_features, n_latent=12):
    """Rectified mixtures of a few latents: correlated, sparse, some dead, as activations are."""
    latent = rng.standard_normal((n_samples, n_latent))
    mixed = latent @ rng.standard_normal((n_latent, n_features)) / np.sqrt(n_latent)
    shift = rng.uniform(-4.0, 1.0, n_features)
    X = np.maximum(mixed + shift + 0.1 * rng.standard_normal(mixed.shape), 0.0)
    return X.astype(np.float32), latent


def unit_columns(X):
    """The live columns, centred and of unit norm in float64: (indices, columns, norms)."""
    centred = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    live = np.flatnonzero(norm > 1e-6 * np.linalg.norm(X, axis=0))
    return live, centred[:, live] / norm[live], norm[live]
