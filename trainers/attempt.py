"""The reset rule as a run's settings state it, and what it starts again."""

from trainers.profiles import TrainConfig
from vrlprobe.agents.drqv2 import PARTS
from vrlprobe.collapse import Rule, Sign

RESET_PARTS = {"all": PARTS, "mlp": ("actor", "critic", "critic_target"), "cnn": ("encoder",)}
"""The networks that a value of the setting `reset_parts` starts again."""


def rule_of(config: TrainConfig) -> Rule:
    """The reset rule as a run's settings state it, whether or not it is applied."""
    sign = Sign(config.reset_metric, config.reset_threshold)
    return Rule(config.rule_window, sign, config.reset_consecutive)
