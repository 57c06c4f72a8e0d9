"""The heat map shows the numbers that the dataset holds."""

import itertools

import numpy as np
import pytest

from tests.figures.probed import COMPONENTS, LAYERS, probed
from vrlprobe.analyses.shared.average import ends_by_class
from vrlprobe.figures._layers import draw
from vrlprobe.figures.style import save_figure


def test_the_cells_hold_r2_and_sparsity() -> None:
    result = probed(frames=(6000,))
    ax = draw(result).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == LAYERS
    assert [label.get_text() for label in ax.get_yticklabels()] == COMPONENTS
    assert ax.get_title("left") == "seed1, frame\u00a06k, return\u00a0123"
    expected = []
    for name in COMPONENTS:
        for layer in LAYERS:
            cell = result.sel(layer=layer, component=name).isel(run=0, frame=0)
            value = cell["test_r2"].item()
            if np.isnan(value):
                expected += ["-"]
            else:
                expected += ["<0" if value < 0 else f"{value:.2f}", str(cell["sparsity"].item())]
    assert [text.get_text() for text in ax.texts] == expected


def test_other_probes_have_no_atoms() -> None:
    result = probed(frames=(6000,)).assign_attrs(arguments='{"probe": "ridge"}')
    figure = draw(result)
    assert len(figure.axes[0].texts) == len(COMPONENTS) * len(LAYERS)
    assert "ridge probe" in figure.axes[-1].get_ylabel()
    assert "number of atoms" in draw(probed(frames=(6000,))).axes[-1].get_ylabel()


def test_the_best_layer_of_each_component_is_framed() -> None:
    result = probed(frames=(6000,))
    ax = draw(result).axes[0]
    values = result["test_r2"].values[0, 0].T
    framed = {(round(p.get_x() + 0.46), round(p.get_y() + 0.44)) for p in ax.patches}
    assert framed == {(int(np.argmax(line)), row) for row, line in enumerate(values[:3])}


def test_every_run_is_drawn_at_its_own_last_frame() -> None:
    result = probed(runs=("seed1", "seed2"), frames=(1000, 2000))
    result["checkpoint"].values[:] = [["a", ""], ["", "b"]]
    titles = [ax.get_title("left") for ax in draw(result).axes[:2]]
    assert titles == [
        "seed1, frame\u00a01k, return\u00a0123",
        "seed2, frame\u00a02k, return\u00a0123",
    ]


def test_a_panel_a_class_shows_the_medians_and_says_of_how_many_runs() -> None:
    result = probed(runs=("a", "b", "c"), frames=(2000,), returns=[950.0, 920.0, 10.0])
    found = ends_by_class(result)
    good, bad = draw(found, ["height"]).axes[:2]
    assert [ax.get_title("left") for ax in (good, bad)] == ["good, median of 2 runs", "bad, 1 run"]
    for ax, members in ((good, ["a", "b"]), (bad, ["c"])):
        cells = result.sel(run=members, component="height").isel(frame=0)
        r2 = cells["test_r2"].mean("run").values  # of one or two values, also the median
        shown = ["<0" if value < 0 else f"{value:.2f}" for value in r2]
        assert [text.get_text() for text in ax.texts[::2]] == shown
        atoms = cells["sparsity"].mean("run").values
        assert [text.get_text() for text in ax.texts[1::2]] == [f"{n:.0f}" for n in atoms]


def test_a_constant_component_alone_can_be_drawn(tmp_path) -> None:
    save_figure(draw(probed(frames=(0,)), ["still"]), tmp_path / "still.png")


def test_the_colour_bar_of_many_runs_is_at_the_top() -> None:
    figure = draw(probed(runs=[f"seed{i}" for i in range(8)], frames=(0,)), ["height"])
    figure.draw_without_rendering()
    first, bar = (ax.get_position() for ax in (figure.axes[0], figure.axes[-1]))
    assert bar.y0 > first.y1
    assert bar.width > 3 * bar.height


@pytest.mark.parametrize("layers", [LAYERS[-1:], LAYERS[-2:], LAYERS])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("names", [["height"], COMPONENTS])
def test_titles_and_the_bars_label_have_room(layers, count, names) -> None:
    runs = [f"walker_walk-desk-seed{i}-with-a-learning-rate-of-{i}e-4" for i in range(count)]
    figure = draw(probed(runs=runs, frames=(100_000,)).sel(layer=layers), names)
    figure.draw_without_rendering()
    *panels, bar = figure.axes
    titles = [ax._left_title.get_window_extent() for ax in panels if ax.get_title("left")]
    assert len(titles) == count
    assert all(not a.overlaps(b) for a, b in itertools.combinations(titles, 2))
    for box in (*titles, bar.get_tightbbox()):
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1
