"""
Probe your own arrays
=====================

After this page you can probe any activations that you have as a NumPy array, without agents and
without run files. ``SparseProbe`` is a scikit-learn estimator: orthogonal matching pursuit, with
the number of units chosen on validation samples for every target.
"""

import matplotlib.pyplot as plt
import numpy as np

from vrlprobe import MlpProbe, RidgeProbe, SparseProbe

# %%
# Some activations
# ----------------
# Here 400 rectified units see a hidden state of three variables. The first is the sum of five
# units, the second is spread over all of them, and the third shows in no unit. Samples come in
# episodes of 50 steps.

rng = np.random.default_rng(0)
n_episodes, n_steps, n_units = 40, 50, 400
episode = np.repeat(np.arange(n_episodes), n_steps)
X = np.maximum(rng.standard_normal((n_episodes * n_steps, n_units)), 0)
Y = np.column_stack(
    [
        X[:, [3, 14, 15, 92, 65]].sum(axis=1),
        X @ rng.standard_normal(n_units) / np.sqrt(n_units),
        rng.standard_normal(len(X)),
    ]
)
Y[:, 0] += 0.05 * rng.standard_normal(len(X))

# %%
# Split by episode
# ----------------
# Neighbouring samples of an episode are near copies of each other, so a split by sample would
# measure memory. Split by episode: train, validate and test on different ones.

train, val, test = episode < 24, (episode >= 24) & (episode < 32), episode >= 32
probe = SparseProbe(max_atoms=100)
probe.fit(X[train], Y[train], X_val=X[val], y_val=Y[val])

# %%
# The sparsity is the number of units in each target's probe. The probe of the first target holds
# the five planted units, and one more, which lowers the validation error by chance:

print("sparsity", probe.sparsity_)
print("units of the first target", sorted(probe.path_.support[0, : probe.sparsity_[0]].tolist()))

# %%
# One path, every sparsity
# ------------------------
# The fit scores every number of units from 0 to ``max_atoms``. The error of the first target falls
# to the noise at five units. That of the second falls slowly, because all units carry it: 100 are
# too few, and ``at_edge_`` says so. The third is predicted best by its mean.

errors = probe.path_.mse["val"]
fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for target, name in enumerate(["five units", "all units", "no unit"]):
    ax.plot(errors[target] / errors[target, 0], label=name)
ax.set(xlabel="units in the probe", ylabel="validation error / that of the mean", ylim=(0, None))
ax.legend()
plt.show()

# %%
# Compare with other probes
# -------------------------
# A ridge probe uses all units, and so predicts the second target, too. An MLP probe is not linear:
# here it has nothing to gain, and too few samples. A validation set can also be taken from the
# training samples: give ``groups``, and samples of one episode stay together.

for other in (probe, RidgeProbe(), MlpProbe(random_state=0)):
    if other is not probe:
        other.fit(X[train], Y[train], groups=episode[train])
    residual = ((other.predict(X[test]) - Y[test]) ** 2).mean(axis=0)
    r2 = 1 - residual / Y[test].var(axis=0)
    print(f"{type(other).__name__:12}", "R2", r2.round(2))
