"""The figure of a contrast shows the dataset's numbers."""

import numpy as np
import pytest

from tests.figures.probed import LAYERS, probed
from vrlprobe import figures
from vrlprobe.analyses import contrast

RETURNS = [950.0] * 7 + [10.0] * 7


@pytest.mark.filterwarnings("ignore:left out")
@pytest.mark.parametrize("score", ["log_mse", "r2"])
def test_points_are_means_and_stars_what_is_significant(score) -> None:
    result = probed([f"seed{number}" for number in range(14)], (1000,), RETURNS)
    result["test_mse"].loc[{"layer": "mlp2", "run": result["run"][7:]}] *= 100.0
    found = contrast(result, score=score)
    drawn = figures.plot(found)
    axes = drawn.figure.axes
    assert len(axes) == 8
    assert axes[0].get_title("left") == "mean of 3 components"
    part = found.sel(component="mean")
    groups = [line.get_ydata() for line in axes[0].lines if len(line.get_xdata()) == len(LAYERS)][
        :1
    ]
    expected = part["group_score"].sel(group="good", bound="estimate").values
    np.testing.assert_allclose(groups[0], np.exp(expected) if score == "log_mse" else expected)
    stars = [text for text in axes[4].texts if text.get_text() == "*"]
    significant = part["p_holm"].sel(measure="contrast") < 0.05
    assert len(stars) == int(significant.sum()) == (1 if score == "log_mse" else 0)
    one = figures.contrast(found, components="height")
    assert len(one.figure.axes) == 2
