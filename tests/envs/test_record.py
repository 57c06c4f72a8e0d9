"""An episode is recorded whole."""

import numpy as np
import pytest

from tests.envs.policies import uniform
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.record import record_episode

pytestmark = pytest.mark.needs("egl")


def test_an_episode_is_recorded_whole(env: PixelEnv) -> None:
    episode = record_episode(env, uniform(0, env.n_actions))
    steps = env.episode_steps
    assert len(episode) == steps == 125
    assert episode.images.shape == (steps + 1, 3, 32, 32)
    assert episode.states.shape == (steps + 1, len(env.components))
    assert np.isfinite(episode.states).all()
    assert episode.states.std(axis=0).max() > 0
    assert len(np.unique(episode.images.reshape(steps + 1, -1), axis=0)) > steps // 2
