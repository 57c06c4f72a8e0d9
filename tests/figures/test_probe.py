"""What the curves of a probe show is what the dataset holds."""

import numpy as np
import pytest

from tests.figures.probed import LAYERS, probed
from vrlprobe.analyses.shared.average import by_class
from vrlprobe.errors import FormatError
from vrlprobe.figures._probe import draw
from vrlprobe.figures.style import CNN, MLP, layer_styles, save_figure
from vrlprobe.stats.bootstrap import FEWEST

PAPERS = ["torso_velocity", "orientations[0]", "height"]


def lines_of(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_a_row_a_run_a_column_a_component() -> None:
    result = probed(runs=("seed1", "seed2"))
    axes = draw(result, PAPERS).axes
    titles = [ax.get_title("left") for ax in axes]
    assert titles == [*PAPERS, "", "", ""]
    lines = lines_of(axes[4])  # seed2, orientations[0]
    assert set(lines) == {*LAYERS, "mean"}
    for layer in LAYERS:
        expected = result["test_mse"].sel(run="seed2", layer=layer, component="orientations[0]")
        np.testing.assert_array_equal(lines[layer].get_ydata(), expected.values)
        np.testing.assert_array_equal(lines[layer].get_xdata(), [0, 1000, 2000])
    assert lines["cnn0"].get_linestyle() == "--"
    assert lines["mean"].get_ydata() == [1.0, 1.0]


def test_a_row_a_class_with_the_interval_as_band() -> None:
    good = [f"good{number}" for number in range(6)]
    result = probed(runs=(*good, "bad"), returns=[950.0, 920.0, 930.0, 900.0, 910.0, 940.0, 10.0])
    drawn = by_class(result)
    axes = draw(drawn, ["height"]).axes
    assert [ax.get_ylabel() for ax in axes] == [
        "good (6 of 7 runs)\ntest MSE",
        "bad (1 of 7 runs)\ntest MSE",
    ]
    expected = result["test_mse"].sel(run=good, component="height").mean("run")
    for layer, line in list(lines_of(axes[0]).items())[:-1]:
        np.testing.assert_allclose(line.get_ydata(), expected.sel(layer=layer).values)
    band = axes[0].collections[0].get_paths()[0].vertices
    low = drawn["low"].sel({"class": "good", "layer": "cnn0", "component": "height"})
    assert set(low.values) <= set(band[:, 1])


def test_a_frame_that_a_run_lacks_is_left_out() -> None:
    result = probed(runs=("seed1", "seed2"))
    result["test_mse"].values[1, 1] = np.nan
    result["checkpoint"].values[1, 1] = ""
    axes = draw(result, ["height"]).axes
    assert [len(ax.get_lines()[0].get_xdata()) for ax in axes] == [3, 2]


def test_a_constant_component_alone_can_be_drawn(tmp_path) -> None:
    save_figure(draw(probed(), ["still"]), tmp_path / "still.png")


def test_a_layer_has_the_same_colour_whichever_are_drawn() -> None:
    every = layer_styles(["cnn0", "cnn1", "cnn2", "cnn3", "cnn4", "mlp0", "mlp1", "mlp2"])
    colours = [style["color"] for style in every.values()]
    assert len(set(colours)) == len(colours)
    assert layer_styles(["mlp1", "cnn3"]) == {name: every[name] for name in ("mlp1", "cnn3")}
    assert (every["cnn4"]["color"], every["mlp0"]["color"]) == (CNN[3], MLP[0])


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_files_of_every_kind_are_the_same_each_time(kind, tmp_path) -> None:
    for name in ("a", "b"):
        save_figure(draw(probed(), PAPERS), tmp_path / f"{name}.{kind}")
    content = (tmp_path / f"a.{kind}").read_bytes()
    assert content == (tmp_path / f"b.{kind}").read_bytes()
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[kind]
    assert content.startswith(start)


def test_a_pdf_embeds_its_fonts_as_outlines_that_can_be_edited(tmp_path) -> None:
    save_figure(draw(probed(), PAPERS), tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content  # TrueType, type 42
    assert b"/Subtype /Type3" not in content


def test_a_kind_that_is_not_drawn(tmp_path) -> None:
    with pytest.raises(FormatError, match=r"must end in \.pdf, \.png, \.svg"):
        save_figure(draw(probed(), PAPERS), tmp_path / "a.jpg")


def test_how_far_a_curve_goes_that_leaves_its_panel_is_said() -> None:
    result = probed(runs=("seed1", "seed2"), frames=tuple(range(0, 20_000, 1000)))
    result["test_mse"].loc["seed2", 3000, "cnn1", "height"] = 61.0
    titles = [ax.get_title("right") for ax in draw(result, ["height", "torso_velocity"]).axes]
    assert titles == ["", "", "up to 61 ↑", ""]


def test_the_interval_is_named_where_there_is_one() -> None:
    enough = probed(runs=[f"seed{i}" for i in range(FEWEST)], returns=[950.0] * FEWEST)
    assert "95% interval" in draw(by_class(enough), ["height"]).get_supxlabel()
    assert draw(by_class(enough.isel(run=slice(1, None))), ["height"]).get_supxlabel() == ""
    assert draw(enough, ["height"]).get_supxlabel() == ""
