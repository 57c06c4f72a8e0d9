"""`vrlprobe plot`, as a person types it."""

import numpy as np
import pytest

from tests.cli.outcome import failed
from tests.figures.probed import probed
from tests.figures.test_cohort import gathered
from tests.figures.test_metrics import measured
from vrlprobe.results.file import load_result, save_result

GIVEN = {"vrlprobe": "metrics", "samples": "abc", "configs": "{}"}


@pytest.fixture
def results(tmp_path):
    """Results of every kind in the test's folder."""
    two = probed(runs=("good1", "bad1"), returns=[950.0, 10.0])
    save_result(two, tmp_path / "two.nc")
    save_result(probed(runs=("good2",), returns=[930.0]), tmp_path / "one.nc")
    save_result(measured().assign_attrs(GIVEN), tmp_path / "metrics.nc")
    for seed, name in enumerate(("plain", "ruled")):
        found = gathered(seed).assign_attrs(vrlprobe="cohort")
        save_result(found, tmp_path / f"{name}.nc")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("probe", "two.nc"),
        ("probe", "two.nc", "one.nc", "--by", "run", "--components", "height"),
        ("layers", "two.nc", "--frame", "1000"),
        ("layers", "two.nc", "--by", "class", "--good", "800"),
        ("metrics", "metrics.nc", "--runs", "seed2"),
        ("cohort", "plain.nc", "ruled.nc", "--names", "DrQ-v2,with the rule"),
        ("order", "two.nc", "one.nc", "--only", "good"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_figure_is_written(call, results, arguments) -> None:
    result = call("plot", *arguments, "-o", "figure.pdf", "--data", "drawn.nc")
    assert result.exit_code == 0, result.output
    assert result.stderr == "wrote figure.pdf\nwrote drawn.nc\n"
    assert (results / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert len(load_result(results / "drawn.nc"))


def test_runs_of_several_files_are_put_together(call, results) -> None:
    call("plot", "probe", "two.nc", "one.nc", "-o", "a.png", "--data", "drawn.nc")
    drawn = load_result(results / "drawn.nc")
    assert drawn["n_runs"].values.tolist() == [2, 1]
    parts = [load_result(results / name)["test_mse"] for name in ("two.nc", "one.nc")]
    errors = [part.sel(run=run) for part, run in zip(parts, ("good1", "good2"), strict=True)]
    expected = np.mean([error.sel(component="height").values for error in errors], axis=0)
    found = drawn["test_mse"].sel({"class": "good", "component": "height"})
    np.testing.assert_allclose(found, expected)


def test_wrong_input_is_one_line(call, results, make_run) -> None:
    make_run("seed1.h5")
    out = ("-o", "a.png")
    failed(call("plot", "probe", "seed1.h5", *out), "is a run", "vrlprobe probe seed1.h5")
    failed(call("plot", "probe", "metrics.nc", *out), "result of metrics", "vrlprobe probe")
    failed(call("plot", "metrics", "none.nc", *out), "none.nc: no such file")
    failed(call("plot", "probe", "two.nc", "two.nc", *out), "two.nc is given twice")
    failed(call("plot", "probe", "two.nc", *out, "--components", "heigth"), "mean height?")
    failed(call("plot", "probe", "two.nc", *out, "--layers", "cnn5"), "no layer 'cnn5'")
    failed(call("plot", "probe", "two.nc", *out, "--runs", "good"), "did you mean good1?")
    failed(call("plot", "layers", "two.nc", *out, "--good", "5"), "give --by class", code=2)
    failed(call("plot", "layers", "two.nc", *out, "--frame", "5"), "no frame 5", "0, 1000, 2000")
    failed(call("plot", "metrics", "metrics.nc", *out, "--metrics", "rank"), "no metric 'rank'")
    failed(call("plot", "order", "two.nc", *out, "--only", "middle"), "good1 950, bad1 10")
    failed(call("plot", "order", "one.nc", *out), "at least two")
    failed(call("plot", "probe", "two.nc", "-o", "a.jpg"), "must end in .pdf, .png, .svg")
    failed(call("plot", "probe", "two.nc", "-o", "no/a.pdf"), "there is no folder no")
    assert call("plot", "probe", "two.nc").exit_code == 2
    assert "did you mean 'metrics'" in call("plot", "metrcs", "a.nc", *out).stderr.lower()


def test_results_on_different_samples_are_not_compared(call, results) -> None:
    save_result(probed(runs=("x",)).assign_attrs(samples="def"), results / "other.nc")
    done = call("plot", "probe", "two.nc", "other.nc", "-o", "a.png")
    failed(done, "different samples", "one sample set")


def test_what_is_drawn_of_a_probe_is_what_its_own_option_draws(call, make_run) -> None:
    for seed in (1, 2, 3):
        make_run(f"seed{seed}.h5", seed=seed, frames=(0, 1000))
    probe = ("probe", "seed1.h5", "--samples", "seed2.h5", "--samples", "seed3.h5")
    short = ("--max-atoms", 3, "--layers", "mlp0,mlp2", "--jobs", 1, "--frames")
    for frames, name in (("all", "probe"), ("last", "layers")):
        call(*probe, *short, frames, "-o", "a.nc", "--plot", "own.png")
        assert call("plot", name, "a.nc", "-o", "plot.png").exit_code == 0
        with open("own.png", "rb") as own, open("plot.png", "rb") as other:
            assert own.read() == other.read()


def test_atoms_of_a_run_and_of_what_was_kept(call, make_run) -> None:
    make_run("seed1.h5", seed=1)
    run = ("plot", "units", "seed1.h5", "--max-atoms", 3, "--components", "height")
    result = call(*run, "-o", "a.png", "--data", "atoms.nc")
    assert result.exit_code == 0, result.output
    assert call("plot", "units", "atoms.nc", "-o", "b.png").exit_code == 0
    with open("a.png", "rb") as one, open("b.png", "rb") as other:
        assert one.read() == other.read()
    failed(call(*run, "-o", "a.png", "--layers", "mlp1"), "mlp1 have no place in the image")
    kept = call("plot", "units", "atoms.nc", "-o", "c.png", "--layers", "cnn1")
    failed(kept, "--layers is for a run, atoms.nc holds numbers drawn before", code=2)
    failed(call("plot", "units", "none.nc", "-o", "a.png"), "none.nc: no such file")


def test_film_is_a_figure_too(call, make_run) -> None:
    make_run("seed1.h5", seed=1)
    assert call("plot", "film", "seed1.h5", "-o", "a.png", "--until", 40).exit_code == 0


def test_a_cohort_by_init_is_a_grid(call, make_run) -> None:
    logs = {"action_spread": [0.5] * 3, "grad_norm": [[0.1] * 3] * 3}
    for seed, init in enumerate(("good-good", "good-bad", "")):
        config = {"init": init, "rule_window": 1000}
        make_run(f"r{seed}.h5", seed=seed, config=config, log=logs, reward=0.1 + (seed == 0))
    runs = ("r0.h5", "r1.h5", "r2.h5")
    assert call("cohort", *runs, "--by", "init", "-o", "grid.nc").exit_code == 0
    as_one = call("plot", "cohort", "grid.nc", "-o", "one.pdf")
    assert "warning: grid is grouped by init, all its runs are drawn as one" in as_one.stderr
    result = call("plot", "transplant", "grid.nc", "-o", "grid.pdf")
    assert result.exit_code == 0, result.output
    assert call("cohort", *runs, "-o", "plain.nc").exit_code == 0
    failed(call("plot", "transplant", "plain.nc", "-o", "a.pdf"), "--by init")


@pytest.mark.parametrize(
    "command",
    [
        "layers two.nc --runs bad1,bad1 --components height,height --layers mlp2,mlp2",
        "probe two.nc --runs bad1,bad1 --components height,height --layers mlp2,mlp2",
        "order two.nc --runs good1,bad1,good1 --layers cnn1,mlp2,mlp2 --components height,height",
        "metrics metrics.nc --runs seed1,seed1 --metrics dead_units,dead_units --layers mlp1,mlp1",
    ],
)
def test_a_name_given_twice_is_drawn_once(call, results, command) -> None:
    done = call("plot", *command.split(), "-o", "twice.pdf")
    assert done.exit_code == 0, done.output


def test_options_that_would_do_nothing_are_refused(call, results) -> None:
    by_run = call("plot", "probe", "two.nc", "--by", "run", "--good", 9, "-o", "p.pdf")
    failed(by_run, "--good makes classes, --by run draws none", code=2)
    all_runs = call("plot", "order", "two.nc", "--bad", 9, "-o", "o.pdf")
    failed(all_runs, "--bad makes classes: choose one (--only)", code=2)


def test_a_frame_as_people_write_it(call, results) -> None:
    for frame in ("1e3", "1_000", "last"):
        done = call("plot", "layers", "two.nc", "--frame", frame, "-o", "l.pdf")
        assert done.exit_code == 0, done.output
    failed(call("plot", "layers", "two.nc", "--frame", "all", "-o", "l.pdf"), "one frame", code=2)


def test_classes_without_a_common_frame_are_drawn_run_by_run_and_said_so(call, tmp_path) -> None:
    result = probed(runs=("a", "b"), frames=(0, 1000, 2000, 3000))
    for run, frames in (("a", [2000, 3000]), ("b", [0, 1000])):
        result["checkpoint"].loc[run, frames] = ""
    save_result(result, tmp_path / "apart.nc")
    told = call("plot", "probe", "apart.nc", "-o", "apart.png")
    assert told.exit_code == 0, told.output
    assert "a, b were probed at no common frame" in told.stderr
    assert "drawn run by run" in told.stderr
    failed(call("plot", "probe", "apart.nc", "-o", "c.png", "--by", "class"), "no common frame")
    bare = result.assign_attrs(configs="{}")
    save_result(bare, tmp_path / "bare.nc")
    assert "warning" not in call("plot", "probe", "bare.nc", "-o", "bare.png").stderr
