"""The metrics figure: the dataset's lines, and collapse where the dataset says so."""

import numpy as np
import pytest
import xarray as xr

from vrlprobe.figures._metrics import PAPERS, draw

FRAMES = [0, 1000, 2000, 3000, 4000]
PHASES = ["", "collapsed", "collapsed", "healthy", "healthy"]


def measured():
    rng = np.random.default_rng(1)
    layers = ["mlp0", "mlp1", "mlp2"]
    data = {
        name: (("run", "frame", "layer"), rng.uniform(0, 1, (2, 5, 3)))
        for name in PAPERS
        if name != "episode_return"
    }
    stuck = ["", *["collapsed"] * 4]
    return xr.Dataset(
        {
            **data,
            "episode_return": (("run", "frame"), rng.uniform(0, 900, (2, 5))),
            "stage": (("run", "frame"), np.array([PHASES, stuck], object)),
            "stage_begin": (("run", "frame"), [[-1, 1000, 1000, 3000, 3000], [-1, *[1000] * 4]]),
            "stage_end": (("run", "frame"), [[-1, 3000, 3000, -1, -1], [-1] * 5]),
            "attempt": (("run", "frame"), np.ones((2, 5), int)),
            "checkpoint": (("run", "frame"), np.full((2, 5), "abc", object)),
        },
        {"run": ["seed1", "seed2"], "frame": FRAMES, "layer": layers},
    )


def test_a_row_a_run_a_column_a_metric_lines_of_mlp1_and_mlp2() -> None:
    result = measured()
    axes = np.reshape(draw(result).axes, (2, 5))
    headings = [ax.get_title("left") for ax in axes[0]]
    assert headings == [
        "return",
        "rank",
        "correlation (cosine)",
        "zeros (dead units)",
        "gradient norm",
    ]
    for row, run in enumerate(("seed1", "seed2")):
        assert axes[row, 0].get_ylabel() == run
        np.testing.assert_array_equal(
            axes[row, 0].get_lines()[0].get_ydata(), result["episode_return"].sel(run=run)
        )
        for ax, name in zip(axes[row, 1:], PAPERS[1:], strict=True):
            lines = {line.get_label(): line for line in ax.get_lines()}
            assert list(lines) == ["mlp1", "mlp2"]
            for layer, line in lines.items():
                expected = result[name].sel(run=run, layer=layer).values
                np.testing.assert_array_equal(line.get_ydata(), expected)


def test_collapse_is_shaded_up_to_the_first_healthy_checkpoint() -> None:
    axes = np.reshape(draw(measured()).axes, (2, 5))
    spans = [[(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches] for ax in axes[:, 2]]
    assert spans == [[(1000, 3000)], [(1000, 4000)]]


def test_the_key_names_the_shading_though_the_first_run_has_none() -> None:
    result = measured()
    result["stage"][0] = "healthy"
    key = draw(result).legends[0].get_texts()
    assert sorted(text.get_text() for text in key) == ["in collapse", "mlp1", "mlp2"]


def test_collapse_is_shaded_where_the_log_has_it_though_few_frames_were_measured() -> None:
    axes = np.reshape(draw(measured().isel(frame=[0, 2, 4])).axes, (2, 5))
    spans = [[(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches] for ax in axes[:, 2]]
    assert spans == [[(1000, 3000)], [(1000, 4000)]]


def test_lines_break_where_an_attempt_begins_again() -> None:
    result = measured()
    result["attempt"][1] = [1, 1, 2, 2, 2]
    axes = np.reshape(draw(result).axes, (2, 5))
    for ax in axes[1]:
        dotted, *lines = sorted(ax.get_lines(), key=lambda line: line.get_linestyle() != ":")
        assert list(dotted.get_xdata()) == [1000, 1000]
        for line in lines:
            np.testing.assert_array_equal(line.get_xdata(), [0, 1000, np.nan, 2000, 3000, 4000])
            assert np.isnan(line.get_ydata()[2])


def test_other_metrics_and_layers() -> None:
    axes = draw(measured(), ["dead_units"], ["mlp0"]).axes
    assert len(axes) == 2
    assert [line.get_label() for line in axes[0].get_lines()] == ["mlp0"]


def test_a_gradient_norm_of_few_values_has_ticks_and_one_of_none_says_so() -> None:
    few = measured()
    few["grad_norm"] = few["grad_norm"].where(few["grad_norm"].isnull(), 2e-4)
    axes = draw(few).axes
    low, high = axes[len(PAPERS) - 1].get_ylim()
    assert (low, high) == pytest.approx((1e-4, 1e-3))
    few["grad_norm"] = few["grad_norm"].where(False)
    for ax in draw(few).axes[len(PAPERS) - 1 :: len(PAPERS)]:
        (text,) = ax.texts
        assert text.get_text() == "not measured"


def test_a_panel_without_a_line_says_so() -> None:
    result = measured()
    result["dead_units"].loc[{"layer": "mlp0"}] = np.nan
    result["dormant_ratio"] = result["dead_units"].copy()
    result["dormant_ratio"].loc[{"run": "seed2", "layer": "mlp0"}] = 0.0
    grid = np.reshape(draw(result, ["dead_units", "dormant_ratio"], ["mlp0"]).axes, (2, 2))
    told = [[[text.get_text() for text in ax.texts] for ax in axes] for axes in grid]
    assert told == [[["not measured"], ["not measured"]], [["not measured"], []]]
    assert [len(ax.get_yticks()) > 0 for ax in grid[1]] == [False, True]
    both = draw(result, ["dead_units"], ["mlp0", "mlp1"])
    assert not any(ax.texts for ax in both.axes)


def test_ticks_of_gradient_norms_of_0_do_not_lie_over_each_other() -> None:
    none = measured()
    none["grad_norm"] = none["grad_norm"].where(none["grad_norm"].isnull(), 0.0)
    figure = draw(none)
    figure.draw_without_rendering()
    ax = figure.axes[len(PAPERS) - 1]
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert ticks[0] == 0
    heights = [ax.transData.transform((0, tick))[1] for tick in ticks]
    assert len(ticks) >= 2
    assert min(np.diff(heights)) > 10  # pixels, a label's height
