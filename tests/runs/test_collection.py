"""Several runs at once: found by patterns, closed together, and what is no open run refused."""

import shutil
from pathlib import Path

import pytest

from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.collection import logged_list, one_run, open_runs, read_records, run_list

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
RECORDS = ROOT / "docs" / "study" / "leaky"


def test_runs_are_opened_by_paths_and_patterns_in_order_and_closed_together() -> None:
    learned = FIXTURES / "walker_walk-learned.h5"
    with open_runs(learned, f"{FIXTURES}/*-collapsed.h5", str(FIXTURES / "cart*.h5")) as runs:
        names = [run.path.name for run in runs]
        assert names == [learned.name, "walker_walk-collapsed.h5", "cartpole_balance.h5"]
        assert int(runs[0].returns[-1]) == 332
        kept = list(runs)
    for run in kept:
        with pytest.raises(FormatError, match="is closed: open it again"):
            run.parameters(0)


def test_a_pattern_is_sorted_and_a_file_named_like_one_is_itself(tmp_path) -> None:
    for name in ("b.h5", "a.h5", "[1].h5"):
        shutil.copy(FIXTURES / "cartpole_balance.h5", tmp_path / name)
    with open_runs(tmp_path / "[ab].h5") as runs:
        assert [run.path.name for run in runs] == ["a.h5", "b.h5"]
    with open_runs(tmp_path / "[1].h5") as runs:
        assert [run.path.name for run in runs] == ["[1].h5"]


def test_nothing_stays_open_where_one_cannot_be_opened(tmp_path) -> None:
    with pytest.raises(FormatError, match=r"nothing\*\.h5: no file matches"):
        open_runs(FIXTURES / "cartpole_balance.h5", tmp_path / "nothing*.h5")
    (tmp_path / "z.h5").write_text("no run")
    shutil.copy(FIXTURES / "cartpole_balance.h5", tmp_path / "a.h5")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        open_runs(tmp_path / "*.h5")
    open_handles = [Path(link).resolve() for link in Path("/proc/self/fd").iterdir()]
    assert tmp_path / "a.h5" not in open_handles


def test_records_are_read_by_a_pattern() -> None:
    records = read_records(RECORDS / "*seed?-*.json")
    assert [record.config["seed"] for record in records] == list(range(1, 10))
    assert {record.config["activation"] for record in records} == {"leaky_relu"}


def test_one_run_several_and_a_generator_become_a_list() -> None:
    (record, *_) = read_records(RECORDS / "*.json")
    with open_runs(FIXTURES / "walker*.h5") as runs:
        assert run_list(runs[0]) == runs[:1]
        assert run_list(run for run in runs) == runs
        assert logged_list((record, runs[1])) == [record, runs[1]]
        with pytest.raises(SampleError, match="is a record, which has no networks"):
            run_list([runs[0], record])  # type: ignore[list-item]
    with pytest.raises(SampleError, match="at least one run is needed"):
        run_list([])


def test_a_list_of_paths_is_no_path() -> None:
    with pytest.raises(FormatError, match=r"one by one \(open_runs\(\*paths\)\), not as a list"):
        open_runs(["runs/a.h5"])  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["runs/a.h5", Path("runs/a.h5"), ["runs/a.h5"], 3, [None]])
def test_what_is_no_open_run_is_refused(given) -> None:
    with pytest.raises(SampleError, match=r"open runs are needed \(vrlprobe\.open_runs\), not"):
        logged_list(given)


def test_one_run_is_given_by_itself() -> None:
    with open_runs(FIXTURES / "walker_walk-*.h5") as runs:
        assert one_run(runs[0]) is runs[0]
        with pytest.raises(SampleError, match="by itself, not a collection of 2"):
            one_run(runs)
    with pytest.raises(SampleError, match="open runs are needed"):
        one_run("walker_walk.h5")
