"""A write, fsync or rename that fails leaves the old file as it was, one line, and no litter."""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import write_run
from tests.reliability.programs import Fault, Programs

pytestmark = pytest.mark.reliability


@dataclass(frozen=True)
class Output:
    """A command that writes, and what it wrote before; {} in its arguments is the output's path."""

    arguments: tuple[str, ...]
    name: str
    replaces: bool = True
    """Whether an earlier output is there, which the command may replace."""


OUTPUTS = {
    "cohort": Output(("cohort", "a.h5", "b.h5", "-o", "{}"), "out.nc"),
    "metrics": Output(("metrics", "a.h5", "--frames", "last", "-o", "{}"), "out.nc"),
    "samples": Output(("samples", "a.h5", "b.h5", "-n", "100", "-o", "{}"), "out.h5"),
    "film": Output(("film", "a.h5", "-o", "strip.png", "--data", "{}"), "out.nc"),
    "figure": Output(("film", "a.h5", "-o", "{}"), "out.png"),
    "report": Output(("report", "a.h5", "b.h5", "-o", "{}"), "out.html"),
    "export": Output(("export", "a.h5", "-o", "{}"), "out.safetensors", replaces=False),
    "transplant": Output(
        ("transplant", "--cnn", "a.h5", "--mlp", "b.h5", "-o", "{}"), "out.h5", replaces=False
    ),
}


WINDOW = {"rule_window": 1000}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate("ab"):
        write_run(folder / f"{name}.h5", seed=seed, frames=(0, 1000), reward=30.0, config=WINDOW)
    return folder


def _run(programs: Programs, runs: Path, output: Output, path: Path, fault: Fault | None = None):
    arguments = [str(path) if item == "{}" else item for item in output.arguments]
    return programs.run(runs, *arguments, fault=fault)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_failing_call_at_every_place(
    name: str, on_bad_disks: Programs, runs: Path, tmp_path: Path, cases: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:  # fmt: skip
    output = OUTPUTS[name]
    path = tmp_path / output.name
    first = _run(on_bad_disks, runs, output, path, Fault(tmp_path, 0))
    assert (first.code, first.calls > 2) == (0, True), first
    before, calls = path.read_bytes(), first.calls

    def fresh() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        if output.replaces:
            path.write_bytes(before)

    tried = 0
    for nth in spread(calls, cases(2, calls)):
        for error, for_good in kinds(nth, cases(1, 4)):
            fresh()
            ended = _run(on_bad_disks, runs, output, path, Fault(tmp_path, nth, error, for_good))
            told = (name, nth, error, for_good, ended)
            assert ended.code == 1, told
            assert ended.is_clean, told
            assert ended.err.splitlines()[-1].startswith("vrlprobe: cannot write"), told
            assert ended.err.count("cannot write") == 1, told
            there = {item.name for item in tmp_path.iterdir()}
            if output.replaces:
                assert there == {output.name}, told
                # the folder's own fsync is the last call: the new file is whole and in place
                assert path.read_bytes() == before or nth == calls, told
            else:
                assert there <= ({output.name} if nth == calls else set()), told
            tried += 1
    figure(f"{tried} failing calls in {name} ({calls} places): old file whole, one line, no litter")


def spread(total: int, wanted: int) -> list[int]:
    """So many places from 1 to `total`, evenly; the first and the last among them."""
    if wanted >= total:
        return list(range(1, total + 1))
    return sorted({1 + round(i * (total - 1) / (wanted - 1)) for i in range(wanted)})


def kinds(nth: int, wanted: int) -> list[tuple[int, bool]]:
    """Kinds of failure: errno, and whether all later calls fail, too; others at other places."""
    every = [(error, good) for error in (errno.EIO, errno.ENOSPC, errno.EDQUOT) for good in (0, 1)]
    return [(error, bool(good)) for error, good in (every[nth % 6 :] + every)[:wanted]]
