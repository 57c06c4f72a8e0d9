"""Agents pickled as the trainers of DrQ-v2 pickle them, from classes defined here.

A class is pickled by the names of its module and itself alone, so a class of the same names and the
same attributes gives the same file as the trainer's own.
"""

import sys
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn


@contextmanager
def pretended(**places: str):
    """Classes under the names that they are to be pickled by: {'drqv2': [Encoder, …]}."""
    packages = {name.partition(".")[0]: [] for name in places}
    places = {**packages, **places}
    saved = {name: sys.modules.get(name) for name in places}
    for name, classes in places.items():
        module = ModuleType(name)
        module.__file__ = __file__  # torch looks for the source of a module that it saves
        for kind in classes:
            kind.__module__ = name
            setattr(module, kind.__name__, kind)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, module in saved.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


class Encoder(nn.Module):
    def __init__(self, channels: int, stack: int, activation: type[nn.Module]):
        super().__init__()
        self.repr_dim = 32 * 35 * 35
        widths = [3 * stack, *[channels] * 4]
        layers: list[nn.Module] = []
        for n in range(4):
            layers += [nn.Conv2d(widths[n], channels, 3, stride=1 if n else 2), activation()]
        self.convnet = nn.Sequential(*layers)

    def forward(self, images):
        return self.convnet(images / 255.0 - 0.5).flatten(1)


def trunk(inputs: int, features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, features), nn.LayerNorm(features), nn.Tanh())


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
    last = nn.Linear(hidden, outputs)
    return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True), last)


class Actor(nn.Module):
    def __init__(self, inputs: int, features: int, hidden: int, actions: int):
        super().__init__()
        self.trunk = trunk(inputs, features)
        self.policy = mlp(features, hidden, actions)

    def forward(self, features):
        return torch.tanh(self.policy(self.trunk(features)))


class Critic(nn.Module):
    def __init__(self, inputs: int, features: int, hidden: int, actions: int):
        super().__init__()
        self.trunk = trunk(inputs, features)
        self.Q1 = mlp(features + actions, hidden, 1)
        self.Q2 = mlp(features + actions, hidden, 1)

    def forward(self, features, actions):
        both = torch.cat([self.trunk(features), actions], 1)
        return self.Q1(both), self.Q2(both)


class DenseParallel(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, inputs, outputs))
        self.bias = nn.Parameter(torch.randn(2, 1, outputs))

    def forward(self, values):
        return torch.matmul(values, self.weight) + self.bias


class LocalSignalMixing(nn.Module):
    def forward(self, values):
        return values


class RandomShiftsAug(nn.Module):
    def __init__(self):
        super().__init__()
        self.pad = 4


class Timer:
    def __init__(self):
        self._start_time = self._last_time = 1.7e9


class DrQV2Agent:
    """The networks with what lies beside them: settings, optimizers with state, augmentation."""

    def __init__(
        self, *, size=20, channels=4, features=10, hidden=16, actions=6, stack=3, kind=nn.ReLU
    ):
        self.device = torch.device("cpu")
        self.stddev_schedule, self.stddev_clip = "linear(1.0,0.1,100000)", 0.3
        self.encoder = Encoder(channels, stack, kind)
        side = (size - 3) // 2 + 1 - 6
        head = (channels * side * side, features, hidden, actions)
        self.actor, self.critic, self.critic_target = Actor(*head), Critic(*head), Critic(*head)
        self.encoder_opt = torch.optim.Adam(self.encoder.parameters())
        self.actor_opt = torch.optim.Adam(self.actor.parameters())
        self.critic_opt = torch.optim.Adam(self.critic.parameters())
        self.aug = RandomShiftsAug()
        self.training = True
        self._one_update(size, stack, actions)

    def _one_update(self, size: int, stack: int, actions: int) -> None:
        images = torch.rand(2, 3 * stack, size, size)
        loss = self.critic(self.encoder(images), torch.zeros(2, actions))[0].sum()
        (loss + self.actor(self.encoder(images)).sum()).backward()
        for optimizer in (self.encoder_opt, self.actor_opt, self.critic_opt):
            optimizer.step()

    def act(self, observations: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.actor(self.encoder(torch.from_numpy(observations).float())).numpy()


class ALIXAgent(DrQV2Agent):
    """A-LIX's: modules between the encoder's layers, and both Q functions in one tensor."""

    def __init__(self, **sizes: Any):
        super().__init__(**sizes)
        layers = list(self.encoder.convnet)
        self.encoder.convnet = nn.Sequential(
            *(module for n in range(4) for module in (*layers[2 * n : 2 * n + 2], self._mixing()))
        )
        inputs = self.critic.Q1[0].in_features
        for critic in (self.critic, self.critic_target):
            hidden = critic.Q1[0].out_features
            del critic.Q1, critic.Q2
            layers = [DenseParallel(inputs, hidden), nn.ReLU(inplace=True)]
            layers += [DenseParallel(hidden, hidden), nn.ReLU(inplace=True)]
            critic.QS = nn.Sequential(*layers, DenseParallel(hidden, 1))
        ALIXAgent.__name__ = ALIXAgent.__qualname__ = "DrQV2Agent"

    def _mixing(self) -> nn.Module:
        return LocalSignalMixing()


def save(path, agent, *, module="drqv2", bare=False, step=50_000, **options):
    """Save an agent as a trainer does, its classes in a module of that name; returns the path."""
    classes = [type(agent), Encoder, Actor, Critic]
    if module != "utils":
        classes.append(RandomShiftsAug)
    payload = {"agent": agent, "timer": Timer(), "_global_step": step, "_global_episode": 100}
    with pretended(
        **{
            module: classes,
            "utils": [Timer, DenseParallel],
            "analysis_layers": [LocalSignalMixing],
        }
    ):
        torch.save(agent if bare else payload, path, **options)
    return path
