"""Episodes: returns, and observations stacked as an agent sees them."""

from collections import deque

import numpy as np
import pytest

from vrlprobe.runs.episode import Episode


def _episode(n=7, images=True):
    rng = np.random.default_rng(0)
    return Episode(
        images=rng.integers(0, 256, (n + 1, 3, 4, 5), np.uint8) if images else None,
        actions=np.zeros((n, 2), np.float32),
        rewards=rng.uniform(size=n).astype(np.float32),
        states=np.zeros((n + 1, 1)),
        physics=np.zeros((n + 1, 1)),
    )


def test_the_stack_is_that_of_a_queue():
    """Against the way an environment keeps it: a queue filled with the first image."""
    episode = _episode()
    queue = deque([episode.images[0]] * 3, maxlen=3)
    expected = []
    for image in episode.images:
        if expected:
            queue.append(image)
        expected.append(np.concatenate(queue))
    np.testing.assert_array_equal(episode.observations(), expected)
    np.testing.assert_array_equal(
        episode.observations(indices=[6, -1, 0]), np.array(expected)[[6, 7, 0]]
    )


def test_other_stacks():
    """One image, and more images than there have been."""
    episode = _episode()
    np.testing.assert_array_equal(episode.observations(1), episode.images)
    assert episode.observations(5, [1]).shape == (1, 15, 4, 5)


def test_length_and_return():
    """T steps; the sum in double precision."""
    episode = _episode()
    assert len(episode) == 7
    assert episode.episode_return == sum(map(float, episode.rewards))


def test_what_is_not_there_is_refused():
    """Times outside, and episodes without images."""
    with pytest.raises(IndexError, match="8 images"):
        _episode().observations(indices=[8])
    for stack in (0, -1, 1.5):
        with pytest.raises(ValueError, match="frame_stack must be"):
            _episode().observations(stack)
    with pytest.raises(ValueError, match="without images"):
        _episode(images=False).observations()
