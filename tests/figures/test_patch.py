"""A line a pair, as the result has it."""

import numpy as np
import pytest

from vrlprobe import figures
from vrlprobe.errors import FormatError
from vrlprobe.results.schemas.patch import PATCH


def result():
    """An agent whose actions vary with another's mlp1."""
    coords = {"run": ["stuck"], "donor": ["good@100"], "layer": ["mlp0", "mlp1"]}
    found = PATCH.blank(coords)
    found.attrs["vrlprobe"] = "patch"
    found["action_spread"][:] = [[[1e-8, 0.4]]]
    found["variation"][:] = [[0.3, 0.0]]
    found["donor_variation"][:] = [[0.3, 0.5]]
    return found


def test_lines():
    left, right = figures.plot(result()).figure.axes
    assert left.lines[0].get_label() == "stuck, activations of good@100"
    assert np.array_equal(left.lines[0].get_ydata(), [1e-8, 0.4])
    assert np.array_equal(right.lines[0].get_ydata(), [0.3, np.nan], equal_nan=True)
    assert np.array_equal(right.lines[1].get_ydata(), [0.3, 0.5])
    assert [label.get_text() for label in left.get_xticklabels()] == ["mlp0", "mlp1"]


def test_only_results_of_patch():
    with pytest.raises(FormatError, match="a result of patch is needed, not one of probe"):
        figures.patch(result().assign_attrs(vrlprobe="probe"))
