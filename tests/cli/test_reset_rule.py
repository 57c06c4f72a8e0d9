"""`vrlprobe reset-rule`: what the rule would have done."""

import json

import pytest

from tests.analyses.logs import ESCAPES, FRAMES, STUCK, WINDOW, log_of


@pytest.fixture
def runs(make_run):
    for seed, (name, spread) in enumerate({"stuck": STUCK, "escapes": ESCAPES}.items()):
        log = log_of(spread)
        make_run(f"{name}.h5", seed=seed, frames=FRAMES, episodes=3, config=WINDOW, log=log)
    return ["stuck.h5", "escapes.h5"]


def test_the_rule(call, runs) -> None:
    result = call("reset-rule", "--consecutive", 3, *runs)
    assert "resets at 8,000" in result.stdout
    assert "p = 0.50 reset, n = 3 attempts: 0.875 of runs pass it" in result.stdout
    found = json.loads(call("reset-rule", "--consecutive", 3, *runs, "--json").stdout)
    assert found["runs"][0]["fired"] == 8000
    assert found["p"] == 0.5


def test_what_a_reset_ended_is_not_known_without_it(call, runs, make_run) -> None:
    reset = log_of([1e-5] * 12, [1] * 9 + [2] * 3)
    make_run("reset.h5", seed=5, frames=FRAMES, episodes=3, config=WINDOW, log=reset)
    result = call("reset-rule", "--consecutive", 3, *runs, "reset.h5")
    (row,) = (
        line
        for line in result.stdout.splitlines()
        if "resets at" in line and line.startswith("reset")
    )
    assert "resets at 8,000" in row
    assert "unknown: it was reset  open" in row
    assert "of 2 decided runs; p = 0.67" in result.stdout


def test_the_rule_is_not_said_to_free_those_that_it_misses(call, runs) -> None:
    blind = ("--metric", "grad_norm[mlp0]", "--threshold", "grad_norm[mlp0]=0.1")  # 0.5 in both
    result = call("reset-rule", "--consecutive", 3, *runs, *blind)
    assert "1.000 of runs pass it" in result.stdout
    assert result.stdout.endswith("but 1 of the 2 that it keeps stay stuck\n")
