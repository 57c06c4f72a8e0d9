"""`vrlprobe compare` as a person types it."""

import shutil

import pytest

from tests.analyses.logs import ESCAPES, FRAMES, STUCK, WINDOW, log_of
from tests.cli.outcome import failed
from vrlprobe.results.file import load_result

CONFIG = {**WINDOW, "good_return": 30, "bad_return": 10, "total_frames": FRAMES[-1] + 1}


@pytest.fixture
def cohorts(call, make_run):
    for name, spreads in (("plain", [STUCK] * 3 + [ESCAPES] * 2), ("new", [ESCAPES] * 5)):
        paths = []
        for seed, spread in enumerate(spreads):
            reward = 0.1 if spread is STUCK else 0.9 + 0.01 * seed
            kinds = {"reward": reward, "seed": seed, "log": log_of(spread), "config": CONFIG}
            paths += [make_run(f"{name}{seed}.h5", frames=FRAMES, episodes=2, **kinds).name]
        call("cohort", *paths, "-o", f"{name}.cohort.nc")
    return ["plain.cohort.nc", "new.cohort.nc"]


def test_a_table_by_measure(call, cohorts, tmp_path) -> None:
    result = call("compare", *cohorts, "-o", "found.nc")
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head == "walker_walk at frame 11,000: 5 runs of plain, 5 of new, paired by seed"
    assert rows[0].split() == ["plain", "new", "difference", "p"]
    good = next(row for row in rows if row.startswith("good"))
    assert good.split()[1] == "40%"
    assert good.split()[-1] == "0.25"  # three of three changes for the better: 2 / 2^3
    until = next(row for row in rows if row.startswith("frames until out"))
    assert until.split()[3] == "8,600"
    saved = load_result(tmp_path / "found.nc")
    assert saved.attrs["vrlprobe"] == "compare"
    assert saved["p"].sel(measure="good").item() == 0.25


def test_before_the_first_update_no_run_is_in_collapse(call, cohorts, tmp_path) -> None:
    told = call("compare", *cohorts, "--frame", 0, "-o", "zero.nc")
    assert told.exit_code == 0
    assert "?: there is a run of which it is not known" in told.stdout
    found = load_result(tmp_path / "zero.nc").squeeze()
    assert found["base"].sel(measure=["in_collapse", "collapse_frames"]).isnull().all()
    assert found["base"].sel(measure="return", bound="estimate").notnull()
    assert found["base"].sel(measure="return", bound=["low", "high"]).isnull().all()  # of five


def test_no_output_takes_an_inputs_place(call, cohorts, tmp_path) -> None:
    before = (tmp_path / cohorts[0]).read_bytes()
    failed(call("compare", *cohorts, "-o", cohorts[0]), "plain.cohort.nc is named twice", code=2)
    twice = ("plot", "cohort", *cohorts, "-o", "a.png", "--data")
    failed(call(*twice, f"{tmp_path}/new.cohort.nc"), "is named twice", code=2)
    failed(call(*twice, "./a.png"), "a.png is named twice", code=2)
    assert (tmp_path / cohorts[0]).read_bytes() == before
    assert not (tmp_path / "a.png").exists()


def test_names_and_mistakes(call, cohorts) -> None:
    endless = call("compare", *cohorts, "--good", "inf")
    failed(endless, "plain0: good must be a finite number, not inf")
    named = call("compare", *cohorts, "--names", "relu,leaky")
    assert "5 runs of relu, 5 of leaky" in named.stdout
    failed(call("compare", *cohorts, "--names", "relu"), "2 different labels", code=2)
    shutil.copy(cohorts[0], "plain.again.nc")
    alike = call("compare", cohorts[0], "plain.again.nc")
    failed(alike, "the inputs have names of one beginning", "(--names)", code=2)
    call("compare", *cohorts, "-o", "plain.nc")
    failed(
        call("compare", cohorts[0], "plain.nc"), "is a result of compare, one of cohort is needed"
    )
    failed(call("compare", cohorts[0]), "needs two cohorts")
    failed(call("compare", "plain0.h5", cohorts[1]), "is a run", "vrlprobe cohort RUN")
    failed(call("compare", *cohorts, "--frame", 11_001), "the nearest that all have is 11000")
