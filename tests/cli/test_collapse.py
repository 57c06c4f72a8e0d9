"""`vrlprobe collapse` as a person types it."""

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.analyses.logs import ESCAPES, FRAMES, STUCK, WINDOW, log_of
from tests.cli.outcome import failed
from vrlprobe.errors import FormatError
from vrlprobe.runs.reader import open_run


@pytest.fixture
def runs(make_run):
    for seed, (name, spread) in enumerate({"stuck": STUCK, "escapes": ESCAPES}.items()):
        log = log_of(spread)
        make_run(f"{name}.h5", seed=seed, frames=FRAMES, episodes=3, config=WINDOW, log=log)
    return ["stuck.h5", "escapes.h5"]


def test_one_run_in_detail(call, runs) -> None:
    result = call("collapse", "escapes.h5")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "escapes.h5: escaped at 5,000",
        "",
        "     1,000 to     4,000  collapsed",
        "     5,000 to    11,000  healthy",
        "",
        "action_spread 0.5, above 0.1 by 0.7 decades: agrees",
        "grad_norm[mlp1] 0.01, above 0.001 by 1.0 decades: agrees",
        "return 40 at 11,000 frames, run sealed",
    ]


def test_what_is_not_known_is_not_printed(call, make_run) -> None:
    make_run("young.h5", frames=(0,), episodes=0, config=WINDOW, log={"action_spread": [0.5]})
    assert call("collapse", "young.h5").stdout.splitlines()[1:] == [
        "",
        "return 40 at 0 frames, run sealed",
    ]
    spread = {"action_spread": [0.5, *[1e-5] * 11]}
    make_run("bare.h5", seed=8, frames=FRAMES, episodes=0, config=WINDOW, log=spread)
    assert "stuck since 0 (by action_spread alone)" in call("collapse", "bare.h5").stdout


def test_several_runs_in_a_table(call, runs) -> None:
    lines = call("collapse", *runs).stdout.splitlines()
    assert lines[0].split() == ["run", "frames", "return", "verdict", "agree"]
    assert "stuck since 1,000" in lines[1]
    assert "escaped at 5,000" in lines[2]


def test_json_has_stages_and_evidence(call, runs) -> None:
    found = json.loads(call("collapse", *runs, "--json").stdout)
    assert [item["verdict"] for item in found] == ["stuck", "escaped"]
    assert found[1]["phases"][0] == {"collapsed": True, "first": 1000, "last": 4000}
    assert found[0]["evidence"][0]["metric"] == "action_spread"


def test_thresholds(call, runs) -> None:
    result = call("collapse", "stuck.h5", "--threshold", "action_spread=1e-6")
    assert "stuck.h5: healthy" in result.stdout
    failed(call("collapse", "stuck.h5", "--threshold", "spread"), "METRIC=VALUE", code=2)
    failed(call("collapse", "stuck.h5", "--threshold", "sprad=1"), "sprad", code=2)


def test_errors_are_one_line(call, runs, make_run) -> None:
    failed(call("collapse", "nowhere.h5"), "nowhere.h5")
    make_run("bare.h5", frames=(0, 1000))
    failed(call("collapse", "bare.h5"), "bare.h5", "--window")
    rank = ("reset-rule", "--metric", "rank", "stuck.h5")
    failed(call(*rank), "rank has no threshold of its own", "--threshold rank=VALUE", code=2)
    failed(call(*rank, "--threshold", "rank=2"), "no measurements of rank")


def test_options_that_would_do_nothing_are_refused(call, runs) -> None:
    failed(call("collapse", *runs, "--metric", "action_spread"), "--metric", code=2)
    failed(call("collapse", *runs, "--consecutive", 3), "--consecutive", code=2)
    failed(call("reset-rule", *runs, "--follow"), "--follow", code=2)
    rank = call("reset-rule", *runs, "--threshold", "numerical_rank[mlp1]=3")
    failed(rank, "no metric 'numerical_rank[mlp1]' is read here", code=2)
    unseen = call("collapse", *runs, "--threshold", "numerical_rank[mlp1]=3")
    failed(unseen, "numerical_rank[mlp1] is read of networks that see --samples", code=2)
    for value in ("nan", "-1", "0", "inf"):
        wrong = call("collapse", *runs, "--threshold", f"action_spread={value}")
        failed(wrong, "a value above 0 is needed", code=2)


def _has_checkpoint(path: Path) -> bool:
    try:
        with open_run(path) as run:
            return len(run.frames) > 0
    except FormatError:  # not there, or being created
        return False


@pytest.mark.needs("egl")
def test_a_growing_run_is_followed_to_its_end(tmp_path) -> None:
    """A training in another process, judged from its first checkpoint until it is sealed.

    It stands still until it has been judged once: it may be shorter than the other's start.
    """
    options = (
        "--task cartpole_balance --image-size 24 --channels 4 --hidden-dim 16 --batch-size 16 "
        "--action-repeat 20 --eval-every-frames 1000 --total-frames 4001 --norm-batch-size 32 "
        "--noise-steps 160 --eval-episodes 1 --final-episodes 1 --render fast"
    )
    path = tmp_path / "run.h5"
    train = [sys.executable, "-m", "vrltrain.cli", "run", *options.split(), "-o", str(path)]
    follow = [sys.executable, "-m", "vrlprobe", "collapse", str(path), "--follow"]
    with ExitStack() as running:
        trained = running.enter_context(subprocess.Popen(train, stderr=subprocess.DEVNULL))
        running.callback(trained.kill)
        limit = time.monotonic() + 120
        while not _has_checkpoint(path) and time.monotonic() < limit:
            time.sleep(0.01)
        trained.send_signal(signal.SIGSTOP)
        followed = running.enter_context(
            subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        running.callback(followed.kill)
        assert followed.stdout is not None
        states = []
        for line in followed.stdout:
            if line.startswith("return "):
                states.append(line.split()[-1])
                trained.send_signal(signal.SIGCONT)
        assert trained.wait(60) == 0
        assert followed.wait(60) == 0
    assert len(states) >= 2
    assert (states[0], states[-1]) == ("growing", "sealed")
