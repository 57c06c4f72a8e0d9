"""An output replaces an earlier one of its kind only; kills and signals leave no litter."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.conftest import write_run
from tests.reliability.programs import Fault, Programs
from vrlprobe.errors import FormatError
from vrlprobe.results.file import load_result, save_result

pytestmark = pytest.mark.reliability


def _result(kind: str) -> xr.Dataset:
    return xr.Dataset({"a": ("x", np.arange(3.0))}, attrs={"vrlprobe": kind})


def test_a_result_replaces_its_own_kind_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    save_result(_result("probe"), path)
    save_result(_result("probe"), path)
    with pytest.raises(FormatError, match=r"a result of probe, not a result of metrics.*`force`"):
        save_result(_result("metrics"), path)
    assert load_result(path).attrs["vrlprobe"] == "probe"
    save_result(_result("metrics"), path, force=True)
    assert load_result(path).attrs["vrlprobe"] == "metrics"


@pytest.mark.parametrize("name", ["notes.txt", "other", "own.nc"])
def test_a_strangers_file_is_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(FormatError, match="it is none of vrlprobe's outputs"):
        save_result(_result("probe"), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("suffix", [".h5", ".json", ".PNG", ".html"])
def test_a_suffix_of_another_kind_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FormatError, match=rf"does not end in \{suffix.lower()}, but in \.nc"):
        save_result(_result("probe"), tmp_path / f"a{suffix}")


def test_names_that_cannot_be(tmp_path: Path) -> None:
    loop = tmp_path / "loop.nc"
    loop.symlink_to("loop.nc")
    with pytest.raises(FormatError, match="it is a loop of links"):
        save_result(_result("probe"), loop)
    with pytest.raises(FormatError, match="its name has 243 bytes, the most is 230"):
        save_result(_result("probe"), tmp_path / f"{'a' * 240}.nc")
    save_result(_result("probe"), tmp_path / f"{'a' * 227}.nc")


def test_force_is_an_option_of_what_writes_results(programs: Programs, tmp_path: Path) -> None:
    write_run(tmp_path / "a.h5", frames=(0, 1000), reward=30.0, config={"rule_window": 1000})
    (tmp_path / "notes.txt").write_text("mine")
    refused = programs.run(tmp_path, "cohort", "a.h5", "-o", "notes.txt")
    assert (refused.code, "(--force)" in refused.err) == (1, True), refused
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert programs.run(tmp_path, "cohort", "a.h5", "-o", "notes.txt", "--force").code == 0
    assert load_result(tmp_path / "notes.txt").attrs["vrlprobe"] == "cohort"
    assert "--force" not in programs.run(tmp_path, "info", "--help").out


def test_what_a_kill_leaves_goes_with_the_next(on_bad_disks: Programs, tmp_path: Path) -> None:
    """The kill comes at the second call that changes the file: half of it is there."""
    write_run(tmp_path / "a.h5", frames=(0, 1000), reward=30.0, config={"rule_window": 1000})
    out = tmp_path / "out"
    out.mkdir()
    command = ("cohort", "a.h5", "-o", "out/a.nc")
    killed = on_bad_disks.run(tmp_path, *command, fault=Fault(out, 2))
    assert killed.code == -signal.SIGKILL
    (part,) = out.iterdir()
    assert part.name.startswith(".a.nc.")
    assert on_bad_disks.run(tmp_path, *command).code == 0
    assert os.listdir(out) == ["a.nc"]


@pytest.mark.parametrize(
    "numbers", [[signal.SIGHUP], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT, signal.SIGTERM]]
)
def test_signals_end_a_command_in_one_line(
    programs: Programs, tmp_path: Path, numbers: list[int]
) -> None:
    write_run(tmp_path / "a.h5", frames=tuple(range(0, 30_000, 1000)))  # 3 s of work
    given = [(0.4 + 0.01 * place, number) for place, number in enumerate(numbers)]
    ended = programs.run(tmp_path, "metrics", "a.h5", "-o", "a.nc", signals=given)
    assert (ended.code, ended.err.splitlines()[-1]) == (130, "stopped"), ended
    assert sorted(os.listdir(tmp_path)) == ["a.h5"]
