"""Attempts: trainings from scratch inside one run, each begun by the reset rule after the first."""

from dataclasses import dataclass, field

import numpy as np

from trainers.profiles import TrainConfig
from vrlprobe.agents.drqv2 import PARTS
from vrlprobe.collapse import Rule, Sign

RESET_PARTS = {"all": PARTS, "mlp": ("actor", "critic", "critic_target"), "cnn": ("encoder",)}
"""The networks that a value of the setting `reset_parts` starts again."""


def rule_of(config: TrainConfig) -> Rule:
    """The reset rule as a run's settings state it, whether or not it is applied."""
    sign = Sign(config.reset_metric, config.reset_threshold)
    return Rule(config.rule_window, sign, config.reset_consecutive)


@dataclass
class Attempt:
    """The attempt in progress.

    Attributes:
        number: 1 for the first.
        begun: the frame at which it began.
        readings: of the rule's metric, frame and value, one an evaluation.
    """

    number: int = 1
    begun: int = 0
    readings: list[tuple[int, float]] = field(default_factory=list)

    def streak(self, rule: Rule) -> int:
        """Most readings in a row, inside the window, that show life."""
        return rule.streak_in_window(*self._arrays(), self.begun)

    def fails(self, rule: Rule) -> bool:
        """Whether the window is over without the streak that the rule asks for."""
        return rule.fires(*self._arrays(), self.begun) is not None

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        frames, values = zip(*self.readings, strict=True) if self.readings else ((), ())
        return np.array(frames, np.int64), np.array(values, np.float64)
