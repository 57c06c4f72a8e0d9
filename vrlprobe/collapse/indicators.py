"""Metrics that tell action collapse, each with its threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Indicator:
    """A metric with the threshold that separates collapse from health.

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


ACTION_STD = Indicator("action_spread", 0.1)
"""What collapse is: one action whatever the image."""
GRADIENT = Indicator("grad_norm[mlp1]", 1e-3)
"""What makes it last: no gradient. The threshold is the paper's (section 5.2)."""
RANK = Indicator("numerical_rank[mlp1]", 2.6)
COSINE = Indicator("correlation_samples[mlp2]", 0.96, healthy_above=False)
"""Thresholds lie between what collapsed and healthy checkpoints of real runs have: spread up to
0.026 and from 0.17, rank up to 1.9 and from 3.6, cosine from 0.995 and up to 0.92; blank networks
have a spread of 0.06, so rows before the first update don't count (docs/collapse.md)."""
LOGGED = (ACTION_STD, GRADIENT)
INDICATORS = (*LOGGED, RANK, COSINE)
"""What a verdict is made of, the indicator that decides first; of `LOGGED` every run has
measurements, the others need observations."""


def check_indicator(indicator: Any) -> None:
    """Raise ValueError for anything but an indicator."""
    if not isinstance(indicator, Indicator):
        raise ValueError(
            f"an indicator is a vrlprobe.collapse.indicators.Indicator, such as {ACTION_STD}, "
            f"not {indicator!r}"
        )


def check_indicators(indicators: Any) -> None:
    """Raise ValueError for anything but a sequence of indicators, one at least."""
    if not isinstance(indicators, Sequence) or isinstance(indicators, str):
        raise ValueError(f"indicators are given in a list, not as {indicators!r}")
    if not indicators:
        raise ValueError("a verdict needs an indicator that decides")
    for indicator in indicators:
        check_indicator(indicator)
