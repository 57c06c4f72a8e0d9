"""Choices and defaults that a command's `--help` states: the studies take seconds to import."""

CONTROLS = ("shuffled", "blank")
"""Baselines: the states of other episodes at the same time in them, which keep the time course that
episodes share; and an untrained network of the same architecture."""
OBSERVATIONS = 1000
"""The most that `metrics` takes."""
EPISODES = 10
"""Played with each checkpoint that is imported, and with each stitched pair."""
