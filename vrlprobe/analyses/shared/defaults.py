"""Choices and defaults that a command's `--help` states: the studies take seconds to import."""

CONTROLS = ("shuffled", "blank", "width")
"""Baselines: the states of other episodes at the same time in them, which keep the time course that
episodes share; an untrained network of the same architecture; and as many random live units of each
layer as the narrowest one has."""
OBSERVATIONS = 1000
"""The most that `metrics` takes."""
EPISODES = 10
"""Played with each checkpoint that is imported, and with each stitched pair."""
COMPARED = 500
"""The most that `similarity` takes: its memory grows with the square."""
N_JOBS = 1
"""Processes of an analysis, as for scikit-learn; a command takes one a core (`--jobs`)."""
DRAWS = 3
"""Random directions and shuffled targets that `ablate` averages over."""
UNITS = 10
"""Strongest units that `ablate` sets to their means."""
DIAGNOSED = 300
"""The most observations that `diagnose` takes."""
