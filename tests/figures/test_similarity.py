"""Matrices and curves show the similarities of the result."""

import numpy as np
import pytest

from vrlprobe import figures
from vrlprobe.errors import FormatError
from vrlprobe.results.schemas.similarity import SIMILARITY


def result(runs=("bad1", "good1"), frames=(0, 1000)):
    """Runs of which the second one is good; each checkpoint is half like every other one."""
    coords = {
        "run": runs, "frame": frames, "other_run": runs, "other_frame": frames,
        "layer": ["cnn4", "mlp1"],
    }  # fmt: skip
    found = SIMILARITY.blank(coords)
    configs = ", ".join(f'"{run}": {{"good_return": 20, "bad_return": 5}}' for run in runs)
    found.attrs |= {"vrlprobe": "similarity", "configs": f"{{{configs}}}"}
    found["checkpoint"][:] = "x"
    found["final_return"][:] = [1.0, 30.0][: len(runs)]
    found["cka"][:] = 0.5
    for run in runs:
        for frame in frames:
            at = {"run": run, "other_run": run, "frame": frame, "other_frame": frame}
            found["cka"].loc[at] = 1.0
    return found


def test_runs_by_class_and_curves_over_training():
    drawn = figures.plot(result())
    matrix, _, curves, _ = drawn.figure.axes[:4]
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["good1", "bad1"]
    assert [text.get_text() for text in matrix.texts] == ["1.00", "0.50", "0.50", "1.00"]
    lines = {line.get_label(): line.get_ydata() for line in curves.lines}
    assert np.array_equal(lines["good, with its last checkpoint"], [0.5, 1])
    assert np.array_equal(lines["between runs"], [0.5, 0.5])


def test_a_lone_run_has_curves_and_runs_at_one_frame_matrices():
    alone = figures.similarity(result(runs=("good1",))).figure
    assert [len(ax.lines) for ax in alone.axes] == [1, 1]
    several = figures.similarity(result(frames=(1000,)), layers="mlp1").figure
    assert [len(ax.images) for ax in several.axes[:1]] == [1]
    assert not several.axes[0].lines


def test_only_results_of_similarity():
    with pytest.raises(FormatError, match="a result of similarity is needed, not one of probe"):
        figures.similarity(result().assign_attrs(vrlprobe="probe"))
