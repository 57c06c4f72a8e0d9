"""`vrlprobe similarity` and its figure."""

import pytest

from tests.cli.outcome import failed
from vrlprobe.results.file import load_result


@pytest.fixture
def runs(make_run):
    """Three runs, two of them good."""
    make_run("a.h5", seed=1)
    make_run("b.h5", seed=2)
    make_run("c.h5", seed=3, reward=0.1)
    return "a.h5", "b.h5", "c.h5"


def test_tables_and_the_figure(call, runs, tmp_path):
    done = call("similarity", *runs, "--samples", "a.h5", "--layers", "cnn4,mlp1", "-o", "s.nc")
    assert done.exit_code == 0, done.output
    found = load_result(tmp_path / "s.nc")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("walker_walk, linear CKA on ")
    assert lines[2] == "between runs at frame 2,000"
    cka = found["cka"].sel(frame=2000, other_frame=2000, layer="mlp1")
    pair = cka.sel(run="a", other_run="b").item()
    assert lines[4].split() == ["a,", "b", *lines[4].split()[2:]]
    assert float(lines[4].split()[-1]) == pytest.approx(pair, abs=0.006)
    mean = (cka.sel(run="a", other_run="c") + cka.sel(run="b", other_run="c")).item() / 2
    row = next(line for line in lines if line.startswith("mean of 2: good, bad"))
    assert float(row.split()[-1]) == pytest.approx(mean, abs=0.006)
    assert "c, with its checkpoint at frame 2,000" in lines
    assert lines[-1].split() == ["2000", "4", "1.00", "1.00"]
    drawn = call("plot", "similarity", "s.nc", "-o", "s.png", "--data", "again.nc")
    assert drawn.exit_code == 0, drawn.output
    assert load_result(tmp_path / "again.nc").identical(found)


def test_a_lone_run_is_named_by_itself(call, runs, tmp_path):
    done = call("similarity", "a.h5", "--layers", "mlp1")
    assert done.exit_code == 0, done.output
    assert "between runs" not in done.stdout
    assert (tmp_path / "a.similarity.nc").is_file()


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (["a.h5", "b.h5", "-o", "s.nc"], 1, "give --samples"),
        (["a.h5", "b.h5"], 2, "name its file with -o"),
        (["a.h5", "--layers", "mlp9"], 1, "no layer 'mlp9'"),
        (["a.h5", "-n", "3"], 2, "3 is not in the range"),
        (["none.h5"], 1, "none.h5: no such file"),
    ],
)
def test_mistakes(call, runs, given, code, words):
    failed(call("similarity", *given), words, code=code)


def test_the_figure_is_of_one_result(call, runs):
    failed(call("plot", "similarity", "a.h5", "-o", "s.png"), "made by: vrlprobe similarity")
    failed(call("plot", "similarity", "a.nc", "b.nc", "-o", "s.png"), "compare the runs", code=2)
