"""`vrlprobe transplant` and `vrlprobe grid`, then `predict` on what they made."""

import json

import pytest

from tests.cli.outcome import failed
from vrlprobe.runs.reader import open_run


@pytest.fixture
def pool(make_run, tmp_path):
    """A folder runs/ with a good and a bad run."""
    (tmp_path / "runs").mkdir()
    for name, seed, reward in (("a", 1, 1.0), ("b", 2, 0.1)):
        make_run(f"{name}.h5", seed=seed, reward=reward).rename(tmp_path / f"runs/{name}.h5")
    return tmp_path


def test_an_agent_of_two(call, pool):
    done = call("transplant", "--cnn", "good", "--mlp", "bad")
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1][:7] == ["cnn1", "cnn2", "cnn3", "cnn4", "good", "a.h5", "2,000"]
    assert rows[2][4:8] == ["critic", "bad", "b.h5", "2,000"]
    assert "drawn from 1 bad run with seed 0; its last checkpoint" in done.stdout
    assert done.stderr == "wrote transplant-good-bad.h5\n"
    shown = call("info", "transplant-good-bad.h5")
    assert "made of       cnn1 cnn2 cnn3 cnn4: good, a.h5 at frame 2000; mlp0" in shown.stdout
    again = call("transplant", "--cnn", "good", "--mlp", "bad")
    failed(again, "transplant-good-bad.h5 exists: choose another name (--output)")


def test_an_agent_is_no_training_that_stopped(call, make_run):
    config = {"total_frames": 2001, "eval_every_frames": 2000}
    make_run("a.h5", frames=(0, 2000), config=config)
    assert call("transplant", "--cnn", "a.h5", "--mlp", "self", "-o", "x.h5").exit_code == 0
    assert "state         sealed\n" in call("info", "x.h5").stdout


def test_where_each_piece_is_from_as_json(call, pool):
    cut = ("--layers", "mlp1=bad,head=blank", "--critic", "blank", "-o", "x.h5")
    done = call("transplant", "--cnn", "good", "--mlp", "self", *cut, "--json")
    found = json.loads(done.stdout)
    assert found["path"] == "x.h5"
    assert found["pieces"]["mlp1"]["run"] == "b.h5"
    assert found["pieces"]["head"]["donor"] == found["pieces"]["critic"]["donor"] == "blank"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--cnn", "good", "--mlp", "godo"], 1, "did you mean good?"),
        (["--cnn", "good", "--mlp", "middle"], 1, "no middle run"),
        (["--cnn", "good", "--mlp", "bad", "--layers", "mpl1=bad"], 1, "did you mean mlp1?"),
        (["--cnn", "good", "--mlp", "bad", "--runs", "none"], 1, "there is no folder none"),
        (["--cnn", "good", "--mlp", "bad", "--layers", "mlp1"], 2, "needed PIECE=DONOR"),
        (["--cnn", "good", "--mlp", "bad", "-o", "no/x.h5"], 1, "there is no folder no"),
        (["--cnn", "good"], 2, "Missing option '--mlp'"),
    ],
)
def test_mistakes(call, pool, options, code, words):
    failed(call("transplant", *options), words, code=code)
    assert not list(pool.glob("*.h5"))


def test_a_grid_is_made_once(call, pool):
    failed(
        call("grid", "-o", "cells"),
        "there is a.h5 alone: add one, or take both of it (--pair same)",
    )
    made = ("grid", "-o", "cells", "--pair", "same")
    first = call(*made)
    assert first.exit_code == 0, first.output
    assert len(list((pool / "cells").glob("*.h5"))) == 9
    assert first.stderr.endswith("wrote 9 of 9 cells to cells\n")
    assert "good-bad     a.h5@2000  b.h5@2000  b.h5@2000" in first.stdout
    (pool / "cells/good-bad.h5").unlink()
    assert call(*made).stderr.endswith("wrote 1 of 9 cells to cells\n")
    other = call(*made, "--seed", "1")
    failed(other, "cells/blank-blank.h5 holds another agent")


def test_a_grid_of_other_donors(call, pool):
    donors = "blank,early=runs/a.h5@1000"
    assert call("grid", "--donors", donors).exit_code == 0
    with open_run(pool / "grid/early-early.h5") as cell, open_run(pool / "runs/a.h5") as run:
        assert cell.digest(0) == run.digest(1000)
    failed(call("grid", "--donors", "blank,runs/a.h5"), "a run file needs a name", code=2)
    failed(call("grid", "--donors", "good,good"), "a name is there twice", code=2)


def test_analyses_take_a_transplant(call, pool):
    call("transplant", "--cnn", "good", "--mlp", "bad", "-o", "t.h5")
    call("samples", "runs/a.h5", "-o", "set.h5")
    for command in ("metrics", "probe", "activations"):
        extra = ("-o", "acts.nc") if command == "activations" else ()
        own = ("--keep-own",) if command == "probe" else ()
        done = call(command, "t.h5", "--samples", "set.h5", *extra, *own)
        assert done.exit_code == 0, done.output
    failed(call("probe", "t.h5"), "needs at least 3 episodes")


def test_predict_wants_probes_and_runs_of_them(call, pool):
    call("grid", "--donors", "blank,good,bad", "--pair", "same")
    call("samples", "runs/a.h5", "-o", "set.h5")
    cells = sorted((pool / "grid").glob("*.h5"))
    options = ("--layers", "mlp1", "--components", "height", "--max-atoms", "3")
    failed(call("probe", *cells, "--samples", "set.h5", *options, "-o", "cells.nc"), "a donor of")
    options = (*options, "--keep-own")
    done = call("probe", *cells, "--samples", "set.h5", *options, "-o", "cells.nc")
    assert done.exit_code == 0, done.output
    failed(call("predict", "cells.nc", "runs/a.h5", "--good", "20"), "0 of the 9 probed inits")
    call("metrics", "runs/a.h5", "--samples", "set.h5", "-o", "m.nc")
    failed(call("predict", "m.nc", "runs/a.h5"), "is a result of metrics")
