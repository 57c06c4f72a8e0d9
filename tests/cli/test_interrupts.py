"""Ctrl-C and SIGTERM end any command in one line, and nothing half-written is left."""

import signal
import subprocess
import sys

import pytest

from tests.struck import STRUCK

CODE = f"""{STRUCK}
import time
from pathlib import Path
import click
from vrlprobe._group import CleanGroup
from vrlprobe.runs.atomic import replaced_whole

class Half:
    def __del__(self):
        self.missing

@click.group(cls=CleanGroup)
def main(): ...

@main.command()
def write():
    with replaced_whole(Path("out.nc")) as path:
        path.write_text("half")
        os.kill(os.getpid(), NUMBER)
        time.sleep(60)

@main.command()
def destroy():
    Struck()
    time.sleep(60)

@main.command()
def load():
    try:
        os.kill(os.getpid(), NUMBER)
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("initialization failed")

@main.command()
def construct():
    half = Half()
    os.kill(os.getpid(), NUMBER)
    time.sleep(60)

main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["write", "destroy", "load", "construct"])
def test_a_signal_ends_a_command_in_one_line(command, number, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", CODE, str(int(number)), command],
        capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (130, "stopped\n")
    assert list(tmp_path.iterdir()) == []


def test_the_commands_of_training_begin_without_torch():
    """Its import takes seconds, in which Ctrl-C would end in a traceback."""
    code = "import sys, vrltrain.cli; sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
