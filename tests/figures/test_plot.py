"""Figures of results from Python: which one suits, what it shows, what is refused."""

import numpy as np
import pytest
import xarray as xr

import vrlprobe
from tests.figures.probed import probed
from tests.figures.test_cohort import gathered
from tests.figures.test_forecast import told
from tests.figures.test_metrics import measured
from vrlprobe import figures
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.results.file import load_result

METRICS = {"vrlprobe": "metrics", "samples": "abc", "configs": "{}"}


def cohort_of(seed: int) -> xr.Dataset:
    return gathered(seed).assign_attrs(vrlprobe="cohort")


def test_a_result_is_drawn_as_suits_it() -> None:
    curves = figures.plot(probed(runs=("a", "b"), returns=[950.0, 10.0]))
    assert curves.numbers["class"].values.tolist() == ["good", "bad"]
    assert figures.plot(probed()).numbers["run"].values.tolist() == ["seed1"]
    table = figures.plot(probed(frames=(2000,)))
    xr.testing.assert_identical(table.numbers, probed(frames=(2000,)))
    cohorts = figures.plot({"plain": cohort_of(0), "ruled": cohort_of(1)})
    assert cohorts.numbers["cohort"].values.tolist() == ["plain", "ruled"]
    alone = figures.plot(cohort_of(0)).numbers
    for name in ("mean", "percentile_95"):
        np.testing.assert_array_equal(
            alone[name].isel(cohort=0), cohorts.numbers[name].sel(cohort="plain")
        )
    columns = figures.plot(measured().assign_attrs(METRICS), metrics="episode_return").figure.axes
    assert len(columns) == measured().sizes["run"]


def test_options_go_to_the_figure() -> None:
    rows = figures.plot(probed(runs=("a", "b")), by="run", components="height")
    titles = [ax.get_title(loc="left") for ax in rows.figure.axes if ax.get_title(loc="left")]
    assert titles == ["height"]
    with pytest.raises(TypeError, match="unexpected keyword"):
        figures.plot(probed(), layer="cnn4")


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("walker_walk", ["torso_velocity", "orientations[0]", "height"]),
        ("hopper_stand", ["height", "torso_velocity"]),
        ("swimmer_swimmer6", ["torso_velocity", "height"]),
        (None, ["torso_velocity", "height"]),
    ],
)
def test_what_the_reward_reads_is_drawn_and_then_what_a_layer_has_best(task, names) -> None:
    """Of no use are a constant, and `orientations[0]` where no layer beats the mean."""
    result = probed()
    last = result["test_r2"].isel(frame=-1)
    last.loc[{"component": "height"}] = 0.5
    last.loc[{"component": "torso_velocity", "layer": "mlp0"}] = 0.99
    last.loc[{"component": "orientations[0]"}] = -0.1
    del result.attrs["task"]
    result.attrs |= {"task": task} if task else {}
    drawn = figures.probe(result).figure
    assert [ax.get_title("left") for ax in drawn.axes] == names


def test_unknown_classes_are_drawn_run_by_run() -> None:
    result = probed(runs=("a", "b")).assign_attrs(configs="{}")
    assert "run" in figures.probe(result).numbers.dims
    with pytest.raises(SampleError, match="from which return a is good"):
        figures.probe(result, by="class")


def test_layers_by_class() -> None:
    result = probed(runs=("a", "b"), returns=[950.0, 400.0])
    assert figures.layers(result, by="class").numbers["class"].values.tolist() == [
        "good",
        "middle",
    ]
    at = figures.layers(result, by="class", frame=1000, good=300, components="height").numbers
    expected = result["test_r2"].sel(frame=1000).median("run")
    np.testing.assert_array_equal(at["test_r2"].sel({"class": "good"}), expected)
    with pytest.raises(ValueError, match="by class or run, not 'layer'"):
        figures.layers(result, by="layer")
    with pytest.raises(SampleError, match="from which return a is good"):
        figures.layers(result.assign_attrs(configs="{}"), by="class")


def test_an_older_result_does_not_say_how_its_runs_end() -> None:
    result = probed(runs=("a", "b"), returns=[950.0, 400.0])
    older = result.drop_vars("final_return")
    for draw, options in (
        (figures.probe, {}),
        (figures.layers, {"by": "class", "frame": 1000}),
        (figures.order, {"only": "good", "good": 100}),
    ):
        with pytest.warns(UserWarning, match="the classes are by the return at frame 2000, the"):
            drawn = draw(older, **options).numbers
        xr.testing.assert_identical(drawn, draw(result, **options).numbers)
    figures.layers(older)  # by run: no class, no warning


def test_what_is_drawn_is_kept(tmp_path) -> None:
    drawn = figures.layers(probed(), frame=1000)
    drawn.save(tmp_path / "a.svg", data=tmp_path / "a.nc")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    assert load_result(tmp_path / "a.nc")["frame"].values.tolist() == [1000]
    with pytest.raises(FormatError, match="must end in"):
        drawn.save(tmp_path / "a.gif")


def test_numbers_of_a_figure_are_no_probe() -> None:
    result = probed(runs=("a", "b"), returns=[950.0, 10.0])
    for kind, drawn in (("classes", figures.probe(result)), ("order", figures.order(result))):
        with pytest.raises(FormatError, match=f"there is no figure of a result of {kind}"):
            figures.plot(drawn.numbers)
        with pytest.raises(FormatError, match=f"a result of probe or metrics .* not one of {kind}"):
            vrlprobe.combine_results({"a": drawn.numbers})


def test_a_film_of_several_rows_is_drawn() -> None:
    with vrlprobe.open_runs("fixtures/walker_walk-*.h5") as runs:
        strip = vrlprobe.analyses.film(runs, count=3, episodes=[0, 1])
    drawn = figures.plot(strip)
    assert sum(bool(axes.images) for axes in drawn.figure.axes) == 12
    with pytest.raises(FormatError, match=r"select it as a list"):
        figures.film(strip.isel(row=0))


def test_one_metric_that_foretells_is_drawn_alone() -> None:
    found = told().assign_attrs(vrlprobe="foretell").sel(metric=["b"])
    for drawn in (figures.plot(found), figures.forecast(found, metrics="b")):
        assert drawn.figure.axes[0].get_legend_handles_labels()[1] == ["b"]


@pytest.mark.parametrize(
    ("part", "lacking"),
    [
        (lambda whole: whole[["test_r2"]], "lacks checkpoint: a whole result of probe"),
        (lambda whole: whole.mean("run", keep_attrs=True), "lacks run: a whole result of probe"),
        (lambda whole: whole.isel(run=[]), "has no run left"),
        (lambda whole: whole.isel(frame=[]), "has no frame left"),
    ],
)
def test_too_little_of_a_result_is_told(part, lacking: str) -> None:
    for draw in (figures.plot, figures.probe, figures.layers, figures.order):
        with pytest.raises(FormatError, match=f"the result {lacking}"):
            draw(part(probed()))


def test_the_wrong_result_is_told() -> None:
    with pytest.raises(FormatError, match="a result of metrics is needed, not one of probe"):
        figures.metrics(probed())
    with pytest.raises(FormatError, match="a result of probe is needed, not DataArray"):
        figures.layers(probed()["test_r2"])  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="there is no figure of a result of compare"):
        figures.plot(xr.Dataset(attrs={"vrlprobe": "compare"}))
    with pytest.raises(FormatError, match=r"select it as a list, run=\['seed1'\]"):
        figures.plot(probed().sel(run="seed1"))
    with pytest.raises(FormatError, match=r"select it as a list, layer=\['cnn4'\]"):
        figures.layers(probed().sel(layer="cnn4"))
    for given in ([cohort_of(0)], {}, "x"):
        with pytest.raises(FormatError, match="results are given by names of yours"):
            figures.cohort(given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rows and panels are by class or run, not 'seed'"):
        figures.probe(probed(), by="seed")  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=r"no component 'heigth' here: did you mean height\?"):
        figures.layers(probed(), components="heigth")
    with pytest.raises(SampleError, match="no frame 3 in this result: there are 0, 1000, 2000"):
        figures.layers(probed(), frame=3)
    with pytest.raises(SampleError, match="a curve needs several frames"):
        figures.probe(probed(frames=(0,)))
    with pytest.raises(SampleError, match="not grouped"):
        figures.transplant(cohort_of(0))
    with pytest.raises(SampleError, match="no run is good; they return: seed1 123"):
        figures.order(probed(), only="good")
