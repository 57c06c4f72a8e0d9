"""Metrics that tell action collapse, each with its threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Sign:
    """One metric's reading of collapse.

    Attributes:
        name: column of the log or of a metrics result, with its layer: `grad_norm[mlp1]`.
        threshold: where collapse is told from health.
        healthy_above: False for a metric that rises in collapse.
    """

    name: str
    threshold: float
    healthy_above: bool = True

    def healthy(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which values are on the healthy side; NaN and the threshold itself are not."""
        found = np.asarray(values, np.float64)
        return found > self.threshold if self.healthy_above else found < self.threshold

    def decades(self, value: float) -> float:
        """How far a value is from the threshold, as a power of ten; positive on the healthy side.

        Infinite at 0.
        """
        with np.errstate(divide="ignore"):
            distance = float(np.log10(abs(value)) - np.log10(self.threshold))
        return distance if self.healthy_above else -distance


SPREAD = Sign("action_spread", 0.1)
"""What collapse is: one action whatever the image."""
GRADIENT = Sign("grad_norm[mlp1]", 1e-3)
"""What makes it last: no gradient. The threshold is the paper's (section 5.2)."""
RANK = Sign("numerical_rank[mlp1]", 2.6)
COSINE = Sign("correlation_samples[mlp2]", 0.96, healthy_above=False)
"""Thresholds lie between what collapsed and healthy checkpoints of real runs have: spread up to
0.026 and from 0.17, rank up to 1.9 and from 3.6, cosine from 0.995 and up to 0.92; blank networks
have a spread of 0.06, so rows before the first update don't count (docs/collapse.md)."""
LOGGED = (SPREAD, GRADIENT)
SIGNS = (*LOGGED, RANK, COSINE)
"""What a verdict is made of, the sign that decides first; of `LOGGED` every run has readings, the
others need observations."""


def check_sign(sign: Any) -> None:
    """Raise ValueError for anything but a sign."""
    if not isinstance(sign, Sign):
        raise ValueError(
            f"a sign is a vrlprobe.collapse.indicators.Sign, such as {SPREAD}, not {sign!r}"
        )


def check_signs(signs: Any) -> None:
    """Raise ValueError for anything but a sequence of signs, one at least."""
    if not isinstance(signs, Sequence) or isinstance(signs, str):
        raise ValueError(f"signs are given in a list, not as {signs!r}")
    if not signs:
        raise ValueError("a verdict needs a sign that decides")
    for sign in signs:
        check_sign(sign)
