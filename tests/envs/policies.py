"""What acts in the tests of environments."""

import numpy as np


def uniform(seed: int, n_actions: int):
    """A policy of uniform actions."""
    rng = np.random.default_rng(seed)
    return lambda _: rng.uniform(-1, 1, (1, n_actions))
