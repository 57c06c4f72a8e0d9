"""Conditions and their changes as the result has them."""

import numpy as np
import pytest

from vrlprobe import figures
from vrlprobe.analyses.shared.ablation import CONDITIONS
from vrlprobe.errors import FormatError
from vrlprobe.results.dataset import BOUNDS
from vrlprobe.results.schemas.ablate import ABLATE


def result(runs=("a",), episodes=7):
    """The change of return of a condition is minus ten times its place."""
    coords = {
        "run": runs, "condition": CONDITIONS, "draw": range(2), "episode": range(episodes),
        "bound": BOUNDS,
    }  # fmt: skip
    found = ABLATE.blank(coords)
    found.attrs |= {"vrlprobe": "ablate", "component": "height", "layer": "mlp1"}
    changes = -10.0 * np.arange(len(CONDITIONS))[:, None] + np.array([0, -4, 4])
    found["return_change"][:] = changes
    found["mean_change"][:] = changes
    found["test_r2"][:] = 0.5
    found["action_rmse"][:] = 0.1
    return found


@pytest.mark.parametrize("runs", [("a",), ("a", "b")])
def test_changes_with_their_intervals(runs):
    drawn = figures.plot(result(runs))
    returns, actions, r2 = drawn.figure.axes
    marks = [line.get_xdata()[0] for line in returns.lines if len(line.get_xdata()) == 1]
    assert {0.0, -10.0, -20.0, -30.0, -40.0} <= set(marks)
    assert {-14.0, -6.0} <= {x for line in returns.lines for x in line.get_xdata()}
    over = "runs" if len(runs) > 1 else "episodes"
    assert returns.get_xlabel() == f"change of return,\n95% interval over {over}"
    assert returns.get_yticklabels()[1].get_text() == "probe's direction"
    assert {0.1} == {x for line in actions.lines for x in line.get_xdata()}
    assert {0.5} == {x for line in r2.lines for x in line.get_xdata()}


def test_without_episodes_there_are_no_returns():
    assert len(figures.ablate(result(episodes=0)).figure.axes) == 2


def test_only_results_of_ablate():
    with pytest.raises(FormatError, match="a result of ablate is needed, not one of probe"):
        figures.ablate(result().assign_attrs(vrlprobe="probe"))
