"""Real activations of a paper-size network, made here and kept in a folder for the next run.

Images are rendered episodes of walker_walk under random actions that last a while, so that the body
goes through many poses; the networks are DrQ-v2's at the published sizes, their encoder and actor
trained for a moment to predict the state from the image, so that their features are no longer
those of a blank network.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.record import record_episode
from vrlprobe.runs.episode import Episode

TASK = "walker_walk"
SIZES = {"image_size": 84, "channels": 32, "feature_dim": 50, "hidden_dim": 1024}
"""The published architecture for walker_walk: cnn4 has 39,200 units."""
TRAINING_STEPS, BATCH = 150, 32


def episodes(number: int, task: str = TASK, image_size: int = 84) -> list[Episode]:
    """Episodes of 500 agent steps; every action is held for 5 to 25 steps."""
    env = PixelEnv(task, seed=0, image_size=image_size, render="fast")
    rng = np.random.default_rng(0)
    return [record_episode(env, _Held(rng, env.n_actions)) for _ in range(number)]


class _Held:
    """A policy that draws uniform actions and keeps each for a while."""

    def __init__(self, rng: np.random.Generator, n_actions: int) -> None:
        self.rng, self.n_actions, self.left = rng, n_actions, 0

    def __call__(self, _: np.ndarray) -> np.ndarray:
        if not self.left:
            self.action = self.rng.uniform(-1, 1, (1, self.n_actions)).astype(np.float32)
            self.left = int(self.rng.integers(5, 26))
        self.left -= 1
        return self.action


def observations(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Stacked observations (number, 9, 84, 84) and states (number, n_components), in random order.

    Rendered at the first call, a minute or two; read from ``folder`` later.
    """
    path = folder / f"observations-{number}.npz"
    if not path.is_file():
        found = episodes(-(-number // 501))
        stacked = np.concatenate([episode.observations() for episode in found])
        states = np.concatenate([episode.states for episode in found])
        order = np.random.default_rng(1).permutation(len(states))[:number]
        np.savez(path, observations=stacked[order], states=states[order])
    with np.load(path) as stored:
        return stored["observations"], stored["states"]


def trained_agent(images: np.ndarray, states: np.ndarray) -> DrQV2Agent:
    """A paper-size agent after a moment of regression from images to states."""
    torch.manual_seed(0)
    agent = DrQV2Agent(**SIZES, action_dim=6)
    head = nn.Linear(SIZES["hidden_dim"], states.shape[1])
    targets = torch.from_numpy((states - states.mean(0)) / (states.std(0) + 1e-6)).float()
    actor = [agent.actor.trunk, *list(agent.actor.policy)[:4], head]
    model = nn.Sequential(agent.encoder, *actor)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(TRAINING_STEPS):
        rows = torch.randint(len(images), (BATCH,), generator=generator)
        predicted = model(agent.normalise(torch.from_numpy(images[rows.numpy()])))
        loss = ((predicted - targets[rows]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return agent
