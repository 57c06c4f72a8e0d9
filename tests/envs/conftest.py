"""Environments of every tested task, small and fast."""

import pytest

from vrlprobe.envs.pixels import PixelEnv

TASKS = ("walker_walk", "hopper_stand", "finger_spin", "cartpole_balance")


@pytest.fixture(params=TASKS)
def env(request):
    with PixelEnv(request.param, seed=3, image_size=32, action_repeat=8, render="fast") as env:
        yield env
