"""What the commands say is one line, on any terminal."""

import os
import subprocess
import sys

import h5py
import pytest

from vrlprobe._group import as_options
from vrlprobe.agents import drqv2, nature
from vrlprobe.analyses import transplant
from vrlprobe.checkpoints import choices
from vrlprobe.cli import grid as transplanting
from vrlprobe.cli import import_ as importing
from vrlprobe.cli import probe as probing
from vrlprobe.errors import TransplantError


def vrlprobe(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "vrlprobe", *map(str, arguments)],
        capture_output=True, check=False, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip


def test_a_terminal_of_another_encoding_is_written_to():
    told = vrlprobe("plot", "--help", PYTHONIOENCODING="latin-1")
    assert told.returncode == 0, told.stderr
    assert b"vrlprobe plot NAME INPUT? -o FILE" in told.stdout


def test_errors_of_info_begin_as_all_do(call):
    assert call("info", "a.h5").stderr == "vrlprobe: a.h5: no such file\n"


def test_another_hdf5_file_is_told_in_one_line(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1, 2]
    told = vrlprobe("plot", "metrics", tmp_path / "a.h5", "-o", tmp_path / "a.png")
    assert told.stderr.decode().count("\n") == 1


def test_a_result_or_a_record_is_no_run(call, tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["x"] = [1, 2]
    assert "(a result is for vrlprobe plot)" in call("info", "a.nc").stderr


def test_a_cache_is_not_named_and_left_out(call):
    told = call("probe", "a.h5", "--no-cache", "--cache", "here")
    assert told.exit_code == 2
    assert "--cache names where results are kept, --no-cache keeps none" in told.stderr


def test_help_lists_every_command_without_its_imports():
    code = """
import sys
from vrlprobe.cli.main import main
main(["--help"], standalone_mode=False)
sys.exit("numpy" in sys.modules or "torch" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "probe        Which layers linearly encode" in told.stdout


@pytest.mark.parametrize("place", ["vrlprobe.cli.main", "vrltrain.cli"])
def test_no_help_waits_for_torch(place):
    code = f"""
import sys
from {place} import main
for name in main.list_commands(None):
    try:
        main([name, "--help"], standalone_mode=False)
    finally:
        slow = {{"torch", "sklearn"}} & sys.modules.keys()
        assert not slow, (name, slow)
"""
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (0, "")


def test_what_help_offers_is_what_there_is():
    """It names kinds of networks without importing them."""
    assert list(choices.ACTIVATIONS) == list({**drqv2.ACTIVATIONS, **nature.ACTIVATIONS})


def test_a_typo_of_a_metric_is_told_the_nearest(call):
    told = call("collapse", "a.h5", "--threshold", "actionspread=1")
    assert "no metric 'actionspread' is read here (did you mean action_spread?)" in told.stderr


def test_arguments_that_a_message_names_are_the_commands_options(call, tmp_path):
    """The library speaks of its arguments: a notebook has no options."""
    with pytest.raises(TransplantError, match=r"to draw donors from \(`runs`\)"):
        transplant("good", "bad", runs=tmp_path / "none")
    command = importing.import_
    assert as_options("give `frames`, one for each", command) == "give --frame, one for each"
    assert as_options("none (`episodes=0`)", command) == "none (--episodes 0)"
    assert as_options("keep them (`keep_own=True`)", probing.probe) == "keep them (--keep-own)"
    assert as_options('probe `frames="all"`', probing.probe) == "probe --frames all"
    assert as_options("`good`", transplanting.grid) == "--good-return"  # --good is a run there
    assert as_options("`vrltrain resume`, `window`", probing.probe) == "`vrltrain resume`, `window`"
    told = call("transplant", "--cnn", "good", "--mlp", "bad", "--runs", tmp_path / "none")
    assert told.stderr.endswith("to draw donors from (--runs)\n")
