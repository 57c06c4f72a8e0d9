"""Metrics of actions against closed forms."""

import numpy as np
import pytest

from vrlprobe import metrics


def test_actions() -> None:
    same = np.tile([1.0, -1.0, 0.3], (10, 1))
    assert metrics.action_std(same) == pytest.approx(0, abs=1e-15)
    assert metrics.action_entropy(same) == 0
    beyond = np.array([[-3.0], [2.0], [5.0], [-9.0]])
    assert metrics.action_entropy(beyond) == pytest.approx(np.log(2))
    assert metrics.saturated_share(same) == pytest.approx(2 / 3)
    halves = np.repeat([[-1.0, 0.2], [1.0, 0.2]], 5, axis=0)
    assert metrics.action_std(halves) == pytest.approx(0.5)
    assert metrics.action_entropy(halves) == pytest.approx(np.log(2) / 2)
    every_bin = np.linspace(-1, 1, metrics.ACTION_BINS * 2 + 1)[1::2, None]
    assert metrics.action_entropy(every_bin) == pytest.approx(np.log(metrics.ACTION_BINS))
