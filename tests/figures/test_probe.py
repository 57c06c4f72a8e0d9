"""What the pictures of a probe show is what the dataset holds."""

import numpy as np
import pytest
import xarray as xr

from vrlprobe.errors import FormatError
from vrlprobe.figures.probe import draw
from vrlprobe.figures.style import save_figure

LAYERS = ["cnn0", "cnn1", "cnn4", "mlp0", "mlp2"]
COMPONENTS = ["height", "orientations[0]", "torso_velocity", "still"]


def dataset(runs=("seed1",), frames=(0, 1000, 2000)):
    rng = np.random.default_rng(0)
    dims = ("run", "frame", "layer", "component")
    shape = (len(runs), len(frames), len(LAYERS), len(COMPONENTS))
    r2 = rng.uniform(-0.2, 1.0, shape)
    r2[..., 3] = np.nan
    return xr.Dataset(
        {
            "test_r2": (dims, r2),
            "test_mse": (dims, 1 - np.nan_to_num(r2, nan=1.0)),
            "mean_mse": (("run", "component"), np.ones((len(runs), len(COMPONENTS)))),
            "episode_return": (("run", "frame"), np.full(shape[:2], 123.4)),
            "checkpoint": (("run", "frame"), np.full(shape[:2], "abc", object)),
        },
        coords={
            "run": list(runs),
            "frame": list(frames),
            "layer": LAYERS,
            "component": COMPONENTS,
        },
    )


def test_one_frame_is_a_heat_map_with_the_numbers_in_it():
    result = dataset(frames=(6000,))
    ax = draw(result).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == LAYERS
    assert [label.get_text() for label in ax.get_yticklabels()] == COMPONENTS
    assert ax.get_title("left") == "seed1, frame 6k, return 123"
    texts = np.array([text.get_text() for text in ax.texts]).reshape(4, 5)
    values = result["test_r2"].values[0, 0].T
    for text, value in zip(texts.ravel(), values.ravel(), strict=True):
        expected = "-" if np.isnan(value) else "<0" if value < 0 else f"{value:.2f}"
        assert text == expected
    framed = {(patch.get_x() + 0.46, patch.get_y() + 0.44) for patch in ax.patches}
    best = {(int(np.argmax(line)), row) for row, line in enumerate(values[:3])}
    assert {(round(x), round(y)) for x, y in framed} == best


def test_several_frames_are_curves_of_the_papers_components():
    result = dataset(runs=("seed1", "seed2"))
    axes = draw(result).axes
    assert [ax.get_title("left") for ax in axes[:3]] == [
        "torso_velocity",
        "orientations[0]",
        "height",
    ]
    assert len(axes) == 6
    lines = {line.get_label(): line for line in axes[4].get_lines()}  # seed2, orientations[0]
    assert set(lines) == {*LAYERS, "mean"}
    expected = result["test_mse"].sel(run="seed2", layer="mlp0", component="orientations[0]")
    np.testing.assert_array_equal(lines["mlp0"].get_ydata(), expected.values)
    np.testing.assert_array_equal(lines["mlp0"].get_xdata(), [0, 1000, 2000])
    assert lines["cnn0"].get_linestyle() == "--"


def test_a_frame_that_a_run_lacks_is_left_out():
    result = dataset(runs=("seed1", "seed2"))
    result["test_mse"].values[1, 1] = np.nan
    result["checkpoint"].values[1, 1] = ""
    axes = draw(result, ["height"]).axes
    assert [len(ax.get_lines()[0].get_xdata()) for ax in axes] == [3, 2]


def test_runs_with_one_frame_each_are_heat_maps_side_by_side():
    result = dataset(runs=("seed1", "seed2"), frames=(1000, 2000))
    result["checkpoint"].values[:] = [["a", ""], ["", "b"]]
    titles = [ax.get_title("left") for ax in draw(result).axes[:2]]
    assert titles == ["seed1, frame 1k, return 123", "seed2, frame 2k, return 123"]


def test_a_constant_component_alone_can_be_drawn(tmp_path):
    save_figure(draw(dataset(), ["still"]), tmp_path / "still.png")
    save_figure(draw(dataset(frames=(0,)), ["still"]), tmp_path / "still2.png")


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_files_of_every_kind_are_the_same_each_time(kind, tmp_path):
    for name in ("a", "b"):
        save_figure(draw(dataset()), tmp_path / f"{name}.{kind}")
    content = (tmp_path / f"a.{kind}").read_bytes()
    assert content == (tmp_path / f"b.{kind}").read_bytes()
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[kind]
    assert content.startswith(start)


def test_a_kind_that_is_not_drawn(tmp_path):
    with pytest.raises(FormatError, match=r"must end in \.pdf, \.png, \.svg"):
        save_figure(draw(dataset()), tmp_path / "a.jpg")
