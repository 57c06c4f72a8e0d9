"""
A stuck seed
============

After this page you can say which of your runs is stuck, since when, and what its layers lost. Two
small real runs of walker_walk serve as the example: one learned to walk, one is in action
collapse.
"""

import vrlprobe
from vrlprobe import analyses, figures

runs = vrlprobe.open_runs("../../fixtures/walker_walk-*.h5")
collapsed, learned = runs
print(*runs, sep="\n")

# %%
# Which run is stuck?
# -------------------
# ``collapse`` reads the logs alone, so that it takes no time. An agent in action collapse gives
# the same action whatever it sees. It is stuck if it still does when the exploration noise has
# decayed.

for run in runs:
    print(analyses.collapse(run))

# %%
# The verdict rests on two logged metrics: the standard deviation of the mean action over
# observations, and the gradient norm of a hidden layer. In the collapsed run both fall to zero:

collapsed.log.sel(layer="mlp1")[["action_spread", "grad_norm", "episode_return"]].to_dataframe()

# %%
# What happens in a stuck agent?
# ------------------------------
# Metrics need observations, the same for all runs. Take them from the agent that walks. Rank
# falls and units die in the collapsed agent's MLP; the shaded frames are those in collapse.

samples = vrlprobe.make_samples(learned, 300)
measured = analyses.metrics(runs, samples)
figures.metrics(measured)

# %%
# The numbers are an ``xarray.Dataset``. The rank of the MLP's second layer, by run and frame:

measured["numerical_rank"].sel(layer="mlp1").to_pandas()

# %%
# What do its layers still know?
# ------------------------------
# A sparse linear probe per layer and component says how much of the state is linearly accessible.
# The encoder of the stuck agent still holds the pose; its MLP does not.

probed = vrlprobe.probe(
    runs,
    samples,
    layers=["cnn4", "mlp1"],
    components=["height", "orientations[0]", "velocity[0]"],
    keep_own=True,
)
probed["test_r2"].squeeze("frame").stack(probe=("layer", "run")).to_pandas().T.round(2)

# %%
# ``keep_own=True`` keeps the samples of the run that walks in its own test set. Compare your own
# runs on a sample set to which none of them contributed, and ``keep_own`` is not needed.

runs.close()
