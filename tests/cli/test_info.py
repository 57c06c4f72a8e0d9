"""`vrlprobe info`, `verify` and `salvage`, as they are typed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vrlprobe.cli.main import main
from vrlprobe.runs.salvage import copy_run

FULL_RUN = Path(__file__).parents[1] / "runs" / "full_run.py"
_spec = importlib.util.spec_from_file_location("full_run_for_commands", FULL_RUN)
full_run = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(full_run)


def _call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def sealed(tmp_path):
    """A sealed run of three checkpoints."""
    path = tmp_path / "seed3.h5"
    with full_run.create(path) as writer:
        for i in range(3):
            full_run.commit(writer, i)
    return path


@pytest.fixture
def killed(tmp_path):
    """A run whose writer was killed after two checkpoints."""
    path = tmp_path / "killed.h5"
    writer = full_run.create(path)
    full_run.commit(writer, 0)
    full_run.commit(writer, 1)
    content = path.read_bytes()
    writer.close()
    path.write_bytes(content)
    return path


def test_info_lists_one_run(sealed):
    """Everything that it should say, each on its line."""
    result = _call("info", sealed)
    assert result.exit_code == 0
    lines = dict(line.split(None, 1) for line in result.stdout.splitlines())
    returns = [full_run.episodes(i) for i in range(3)]
    means = [sum(e.episode_return for e in r) / len(r) for r in returns]
    assert lines["task"] == "walker_walk"
    assert (lines["seed"], lines["profile"], lines["architecture"]) == ("3", "test", "drqv2")
    assert lines["checkpoints"] == "3, frames 0 to 2000"
    assert lines["rollouts"] == "6 episodes, 4 with images"
    best = means.index(max(means))
    assert lines["return"] == (
        f"{means[-1]:.1f} at the end, best {max(means):.1f} at frame {1000 * best}"
    )
    assert "h5py" in lines["versions"]
    assert lines["state"] == "sealed"
    assert lines["size"].endswith("kB")


def test_a_training_that_stopped_is_told_from_a_finished_one(make_run):
    config = {"total_frames": 30_001, "eval_every_frames": 2000}
    stopped = make_run("stopped.h5", frames=(0, 2000), config=config)
    whole = make_run("whole.h5", frames=(0, 2000), config={**config, "total_frames": 2001})
    assert "state         sealed, stopped before 30000" in _call("info", stopped).stdout
    assert _call("info", whole).stdout.rstrip().endswith("state         sealed")
    first, second = json.loads(_call("info", "--json", stopped, whole).stdout)
    assert (first["finished"], second["finished"]) == (False, True)
    assert first["last_due"] == 30_000


def test_info_tabulates_several_runs(sealed, killed):
    """A row a run, columns aligned."""
    result = _call("info", sealed, killed)
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split()[:5] == ["run", "task", "seed", "profile", "architecture"]
    assert [row.split()[-1] for row in rows] == ["sealed", "killed"]
    assert rows[0].index("walker_walk") == rows[1].index("walker_walk") == head.index("task")


def test_info_of_a_growing_run(tmp_path):
    """From another process, while it is written."""
    path = tmp_path / "run.h5"
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        script = "import sys; from vrlprobe.cli.main import main; main()"
        command = [sys.executable, "-c", script, "info", str(path)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "state         growing" in shown


def test_info_for_programs(sealed, killed):
    """A list of objects, in the order given."""
    result = _call("info", "--json", killed, sealed)
    first, second = json.loads(result.stdout)
    assert (first["state"], second["state"]) == ("killed", "sealed")
    assert (second["task"], second["seed"], second["checkpoints"]) == ("walker_walk", 3, 3)
    assert second["size"] == sealed.stat().st_size
    assert second["components"] == full_run.COMPONENTS


@pytest.mark.parametrize(
    "provenance",
    [
        {"versions": [1], "origin": 3},
        {"origin": [1, {}], "import": 5},
        {"import": {"sources": [{}]}},
        {"import": {"sources": [{"file": "a", "frame": "last"}]}},
        {"transplant": {"pieces": [1]}},
        {"init": "mine"},
    ],
)
def test_what_another_program_has_in_the_provenance_is_passed_over(tmp_path, provenance):
    path = tmp_path / "run.h5"
    with full_run.create(path, provenance=provenance) as writer:
        full_run.commit(writer, 0)
    shown = _call("info", path)
    assert shown.exit_code == 0, shown.exception
    assert "made of" not in shown.stdout
    assert copy_run(path, tmp_path / "copy.h5") == 1


def test_info_of_an_empty_run(tmp_path):
    """Created, and no checkpoint yet."""
    path = tmp_path / "run.h5"
    full_run.create(path, config={}).close()
    result = _call("info", path)
    assert result.exit_code == 0
    assert "checkpoints   0, frames - to -" in result.stdout


@pytest.mark.parametrize("command", ["info", "verify", "salvage"])
def test_bad_files_are_one_line_each_and_exit_1(tmp_path, sealed, command):
    """The good run among them is shown all the same."""
    garbage = tmp_path / "garbage.h5"
    garbage.write_bytes(b"garbage" * 1000)
    result = _call(command, tmp_path / "missing.h5", sealed, garbage)
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    first, second = result.stderr.splitlines()
    assert "missing.h5: no such file" in first
    assert "garbage.h5: not an HDF5 file" in second
    assert "seed3.h5" in result.stdout


@pytest.mark.parametrize("command", ["info", "verify", "salvage"])
def test_no_run_is_wrong_usage(command):
    """Exit 2, as for every command."""
    assert _call(command).exit_code == 2


def test_verify_says_good_or_what_is_wrong(sealed):
    """A damaged chunk by its dataset."""
    good = _call("verify", sealed)
    assert (good.exit_code, good.stderr) == (0, "")
    assert "good (sealed, 3 checkpoints" in good.stdout
    with full_run.RunWriter.append(sealed) as writer:
        info = writer._datasets["log/fps"].id.get_chunk_info(1)
    with sealed.open("r+b") as file:
        file.seek(info.byte_offset)
        file.write(b"damage")
    bad = _call("verify", sealed)
    assert bad.exit_code == 1
    assert "log/fps" in bad.stderr
    (report,) = json.loads(_call("verify", "--json", sealed).stdout)
    assert "log/fps" in report["problems"][0]


def test_salvage_makes_a_killed_run_whole(killed, sealed):
    """The sealed one beside it is left alone."""
    result = _call("salvage", killed, sealed)
    assert result.exit_code == 0
    assert "2 checkpoints salvaged" in result.stdout
    assert "sealed already, left alone" in result.stdout
    assert "state         sealed" in _call("info", killed).stdout
    assert "origin        salvage of killed.h5" in _call("info", killed).stdout
    (again,) = json.loads(_call("salvage", "--json", killed).stdout)
    assert (again["ok"], again["checkpoints"]) == (True, None)


def test_salvage_refuses_a_growing_run(tmp_path):
    """One line, exit 1."""
    path = tmp_path / "run.h5"
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        result = _call("salvage", path)
    assert result.exit_code == 1
    assert "still being written" in result.stderr
