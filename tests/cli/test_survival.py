"""`vrlprobe survival`, as a person types it."""

import pytest

from tests.analyses.logs import ESCAPES, FRAMES, LATE, STUCK, WHOLE, log_of
from tests.cli.outcome import failed
from vrlprobe.results.file import load_result


@pytest.fixture
def runs(make_run):
    """Two stuck, four that came out, one that stands in collapse at 4,000 frames; by name."""
    for seed, spread in enumerate((STUCK, ESCAPES, LATE) * 2):
        log = log_of(spread)
        make_run(f"seed{seed}.h5", seed=seed, frames=FRAMES, episodes=3, config=WHOLE, log=log)
    log = {name: column[:5] for name, column in log_of(STUCK).items()}
    make_run("young.h5", seed=9, frames=FRAMES[:5], episodes=3, config=WHOLE, log=log)
    return [*(f"seed{seed}.h5" for seed in range(6)), "young.h5"]


def test_how_long_when_to_give_up_and_whether_to_wait(call, runs) -> None:
    result = call("survival", *runs, "-o", "o.nc")
    assert result.exit_code == 0, result.output
    head, table, best, waiting, *_ = result.stdout.split("\n\n")
    assert head == (
        "4 of 7 attempts in 7 runs are out of collapse, half of all by 9,000 frames; "
        "0 were never in it"
    )
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert rows["5,000"].split()[1:3] == ["6", "0.67"]
    assert "(9,000 to never)" not in rows["9,000"]
    assert rows["4,000"].split("  ")[-1].strip().startswith("never")
    assert best.startswith("fewest frames per escape: given up at 9,000 (")
    (line,) = waiting.splitlines()[1:]
    assert line.split()[:3] == ["young", "4,000", "7,000"]
    assert "0.67 / 0.33" in line
    assert "wait (" in line
    assert result.stderr == "wrote o.nc\n"
    assert load_result("o.nc").attrs["vrlprobe"] == "outlook"
    drawn = call("plot", "survival", "o.nc", "-o", "o.pdf")
    assert drawn.exit_code == 0, drawn.output


def test_finished_runs_wait_for_nothing(call, runs) -> None:
    result = call("survival", *runs[:-1], "-o", "o.nc")
    assert "frames after" not in result.stdout
    assert load_result("o.nc").sizes["waiting"] == 0
    again = call("survival", *runs[:-1])
    assert again.stdout == result.stdout


def test_runs_of_other_settings_are_named(call, runs, make_run) -> None:
    config = {**WHOLE, "hidden_dim": 17, "seed": 8, "reset_rule": True}
    make_run("wide.h5", seed=8, frames=FRAMES, episodes=3, config=config, log=log_of(LATE))
    result = call("survival", *runs, "wide.h5")
    assert result.stderr == "warning: runs of different hidden_dim are taken as alike\n"


def test_nothing_is_told_of_frames_that_none_has_seen(call, make_run) -> None:
    config = {**WHOLE, "rule_window": 80_000}
    for seed, spread in enumerate((STUCK, ESCAPES, LATE)):
        make_run(
            f"s{seed}.h5", seed=seed, frames=FRAMES, episodes=3, config=config, log=log_of(spread)
        )
    result = call("survival", "s0.h5", "s1.h5", "s2.h5")
    assert result.exit_code == 0
    assert "80,000" not in result.stdout


def test_mistakes_are_one_line(call, runs) -> None:
    failed(call("survival", runs[0]), "0 of 1 attempts with measurements are out of collapse")
    failed(call("survival", *runs, runs[0]), "give it once")
    failed(call("survival", *runs, "-o", runs[0]), "is named twice", code=2)
    failed(call("plot", "survival", runs[0], "-o", "o.pdf"), "is a run, a result is needed")
    failed(call("survivl", *runs), "Did you mean 'survival'?", code=2)
