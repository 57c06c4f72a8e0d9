"""Signals end a training wherever they strike."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.struck import STRUCK
from tests.vrltrain.tiny import OPTIONS
from vrlprobe.runs.reader import open_run

CODE = f"""{STRUCK}
from vrltrain import run
from vrltrain.cli import main

def checkpoint(training, *rest, **last):
    written(training, *rest, **last)
    if training.frame == 2000:
        Struck()
        print("swallowed", flush=True)

written, run.checkpoint = run.checkpoint, checkpoint
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_a_destructor_is_not_lost(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    command = [sys.executable, "-c", CODE, str(int(number)), "run", *OPTIONS, "-o", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert "swallowed" in ended.stdout
    assert "Exception ignored in" not in ended.stderr
    assert ended.returncode == 130
    assert f"continue with: vrltrain resume {path}" in ended.stderr
    with open_run(path) as run:
        assert run.state == "sealed"
        assert run.frames[-1] == 2000


TWICE = """
import os, signal
from vrltrain.cli import main
from vrlprobe.runs import build
from vrlprobe.runs.writer import RunWriter

def _sync(writer):
    if len(writer) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    synced(writer)

def abandon(file, handle=None):
    os.kill(os.getpid(), signal.SIGTERM)
    abandoned(file, handle)

synced, RunWriter._sync = RunWriter._sync, _sync
abandoned, build.abandon = build.abandon, abandon
main()
"""


def test_a_second_signal_does_not_disturb_the_end_that_the_first_began(tmp_path: Path) -> None:
    """A terminal's Ctrl-C reaches a sweep's children, which then are told to end as well."""
    path = tmp_path / "run.h5"
    short = [*OPTIONS, "--total-frames", "3001"]
    command = [sys.executable, "-c", TWICE, "run", *short, "-o", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 130, ended.stderr
    with open_run(path) as run:
        assert (run.state, len(run.frames)) == ("killed", 2)
    resume = [sys.executable, "-m", "vrltrain.cli", "resume", str(path)]
    again = subprocess.run(resume, capture_output=True, text=True, timeout=240, check=False)
    assert again.returncode == 0, again.stderr
