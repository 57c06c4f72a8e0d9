"""`vrlprobe forecast`, as a person types it."""

import pytest

from tests.analyses.logs import ESCAPES, FRAMES, STUCK, WHOLE, log_of
from tests.cli.outcome import failed
from vrlprobe.results.file import load_result


@pytest.fixture
def runs(make_run):
    """Four runs that stay stuck, four that come out at 5,000 frames, by name."""
    for seed in range(8):
        log = log_of(STUCK if seed < 4 else ESCAPES)
        make_run(f"seed{seed}.h5", seed=seed, frames=FRAMES, episodes=3, config=WHOLE, log=log)
    return [f"seed{seed}.h5" for seed in range(8)]


def test_a_row_a_frame_with_the_best_metric(call, runs) -> None:
    result = call("forecast", *runs, "-o", "f.nc")
    assert result.exit_code == 0, result.output
    head, table, notes = result.stdout.split("\n\n")
    assert head == "4 of 8 runs end stuck"
    rows = {line.split()[0]: line for line in table.splitlines()}
    assert "action_spread" in rows["6,000"]
    assert rows["6,000"].count("4 of 4") == 2
    assert rows["1,000"].split()[8] == "1"  # any: p, before anything differs
    assert float(rows["6,000"].split()[8]) <= 0.05
    assert "under 0.0022" in rows["6,000"]
    assert "any: by the metric best for them" in notes
    assert result.stderr == "wrote f.nc\n"
    assert load_result("f.nc").attrs["vrlprobe"] == "foretell"


def test_one_metric_and_its_figure(call, runs) -> None:
    shown = call("forecast", *runs, "--show", "grad_norm[mlp1]", "-o", "f.nc").stdout
    assert shown.count("grad_norm[mlp1]") == len(FRAMES) - 1
    drawn = call("plot", "forecast", "f.nc", "--metrics", "grad_norm[mlp1]", "-o", "f.pdf")
    assert drawn.exit_code == 0, drawn.output


def test_mistakes_are_one_line(call, runs) -> None:
    failed(call("forecast", *runs[1:]), "3 of 7 runs end stuck: at least 4 of either end")
    failed(call("forecast", *runs[1:]), '(--outcome "not good")')
    failed(call("forecast", *runs, "--show", "grad_norm[mpl1]"), "did you mean grad_norm[mlp1]?")
    failed(call("forecast", *runs, "--metrics", runs[0]), "is a run, a result is needed")
    failed(call("forecast", *runs, "-o", runs[0]), "is named twice", code=2)
    failed(call("forecast", *runs, runs[0]), "give it once")
    failed(call("forecast", *runs, "--good", 9), "--outcome", code=2)
