"""The order of layers as a matrix: its cells are the dataset's."""

import numpy as np

from tests.figures.probed import LAYERS, probed
from vrlprobe.analyses._order import order
from vrlprobe.figures._order import draw


def test_the_cells_hold_shares_and_stars() -> None:
    result = probed(runs=[f"seed{i}" for i in range(12)], frames=(1000,))
    result["test_mse"].loc[{"layer": "mlp2"}] *= 100  # loses in every run
    found = order(result, ["height"])
    axes = draw(found).axes[:2]
    assert [ax.get_title("left") for ax in axes] == ["all components", "height"]
    part = found.sel(component="height")
    expected = [
        f"{100 * part['wins'].values[a, b]:.0f}{'*' if part['p'].values[a, b] < 0.05 else ''}"
        for a, b in np.ndindex(5, 5)
        if a != b
    ]
    assert [text.get_text() for text in axes[1].texts] == expected
    assert expected.count("100*") == 4
    assert [label.get_text() for label in axes[1].get_yticklabels()] == LAYERS


def test_too_few_runs_are_said_to_be_too_few() -> None:
    found = order(probed(runs=("a", "b"), frames=(0,)))
    assert "9 runs or fewer layers are needed" in draw(found).get_supxlabel()
