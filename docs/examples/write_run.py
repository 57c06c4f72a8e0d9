"""A trainer of your own writes a run: `python write_run.py my_run.h5`."""

import sys

import numpy as np

from vrlprobe import Episode, RunWriter

weights = {"actor/policy.weight": np.zeros((2, 4), np.float32)}  # or torch tensors
config = {"task": "cartpole_balance", "seed": 0, "profile": "mine", "architecture": "linear"}
log = {"episode_return": (), "grad_norm": ("layer",)}
with RunWriter.create(
    sys.argv[1], config=config, parameters=weights, components=["position", "angle"], n_actions=2,
    image_shape=(3, 84, 84), max_episodes=5, max_steps=100, log=log, coords={"layer": ["policy"]},
) as run:  # fmt: skip
    for frame in range(0, 3000, 1000):
        weights["actor/policy.weight"] += 0.1  # your training; then an evaluation episode:
        episode = Episode(
            images=np.zeros((101, 3, 84, 84), np.uint8),
            actions=np.zeros((100, 2), np.float32),
            rewards=np.ones(100, np.float32),
            states=np.zeros((101, 2)),
            physics=np.zeros((101, 0)),
        )
        run.commit(frame, weights, [episode], {"episode_return": 100.0, "grad_norm": [0.5]})
