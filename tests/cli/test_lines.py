"""What the commands say is one line, on any terminal."""

import os
import subprocess
import sys

import h5py


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
    assert "--cache names where fits are kept, --no-cache keeps none" in told.stderr


def test_help_lists_every_command_without_its_imports():
    code = """
import sys
from vrlprobe.cli.main import main
main(["--help"], standalone_mode=False)
sys.exit("numpy" in sys.modules or "torch" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "probe        Which layers linearly hold" in told.stdout


def test_a_typo_of_a_metric_is_told_the_nearest(call):
    told = call("collapse", "a.h5", "--threshold", "actionspread=1")
    assert "no metric 'actionspread' is read here (did you mean action_spread?)" in told.stderr
