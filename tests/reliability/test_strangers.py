"""Files from strangers: crafted ones are refused in one line, soon, and in little memory."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.reliability.programs import Programs
from tests.runs import full_run
from vrlprobe.runs import verify
from vrlprobe.runs.schema import CONFIG, LAYOUT
from vrlprobe.runs.verify import verify_isolated

pytestmark = pytest.mark.reliability
MEMORY = 300_000_000
PATIENCE = 20.0


def _list_of_one(file: h5py.File) -> None:
    dataset = file["log/grad_norm"]
    h5py.h5a.delete(dataset.id, b"DIMENSION_LIST")
    one = np.empty(1, object)
    one[0] = np.array([file["log/frame"].ref], h5py.ref_dtype)
    dataset.attrs.create("DIMENSION_LIST", one, dtype=h5py.vlen_dtype(h5py.ref_dtype))


def _list_of_references(file: h5py.File) -> None:
    dataset = file["log/grad_norm"]
    h5py.h5a.delete(dataset.id, b"DIMENSION_LIST")
    dataset.attrs.create("DIMENSION_LIST", np.array([file["log/frame"].ref] * 2, h5py.ref_dtype))


def _no_list(file: h5py.File) -> None:
    dataset = file["log/grad_norm"]
    h5py.h5a.delete(dataset.id, b"DIMENSION_LIST")
    dataset.attrs["DIMENSION_LIST"] = 3


def _blob(path: str, change: Callable[[dict], None]) -> Callable[[h5py.File], None]:
    def craft(file: h5py.File) -> None:
        content = json.loads(file[path][:].tobytes())
        change(content)
        text = np.frombuffer(json.dumps(content).encode(), np.uint8)
        del file[path]
        file.create_dataset(path, data=text, chunks=text.shape, fletcher32=True)

    return craft


def _huge_batch(file: h5py.File) -> None:
    """More observations than the file can hold, in the layout and in the count."""
    size = 2**31 - 1
    _blob(LAYOUT, lambda layout: layout.update(batch_size=size))(file)
    for path in ("batch/observations", "batch/noise"):
        old = file[path]
        row, kind = old.shape[2:], old.dtype
        del file[path]
        limits = {"maxshape": (None, size, *row), "chunks": (1, 16, *row)}
        file.create_dataset(path, (2, size, *row), kind, compression=1, fletcher32=True, **limits)
    file["batch/size"][...] = size


CRAFTED: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "a dimension list of one": (_list_of_one, "not labelled"),
    "a dimension list of plain references": (_list_of_references, "not labelled"),
    "a number as dimension list": (_no_list, "not labelled"),
    "a batch of 2^31 - 1": (_huge_batch, "claims"),
    "a frame below 0": (lambda f: f["log/frame"].__setitem__(0, -1000), "frame -1000"),
    "frames that wrap": (lambda f: f["log/frame"].__setitem__(1, 2**63 - 1), "frame 92233"),
    "a length of -1": (lambda f: f["rollouts/length"].__setitem__((0, 2), -1), "lengths"),
    "a length of 2^31 - 1": (
        lambda f: f["rollouts/length"].__setitem__((0, 0), 2**31 - 1), "lengths"),
    "aliases that are a list": (_blob(LAYOUT, lambda c: c.update(aliases=[1])), "aliases"),
    "an alias of a number": (_blob(LAYOUT, lambda c: c.update(aliases={"a": 1})), "alias"),
    "an architecture that is a list": (
        _blob(CONFIG, lambda c: c.update(architecture=[1, 2])), "architecture"),
    "a seed of 1e400": (_blob(CONFIG, lambda c: c.update(seed=10**400)), "seed"),
    "a task that is a number": (_blob(CONFIG, lambda c: c.update(task=3)), "task"),
    "deep nesting": (
        _blob(CONFIG, lambda c: c.update(a=json.loads("[" * 60 + "]" * 60))), "nested"),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A run's bytes."""
    path = tmp_path_factory.mktemp("good") / "run.h5"
    with full_run.create(path) as writer:
        for i in range(2):
            full_run.commit(writer, i)
    return path.read_bytes()


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_run_is_refused(
    name: str, good: bytes, programs: Programs, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(good)
    craft, told = CRAFTED[name]
    with h5py.File(path, "r+", libver="v110") as file:
        craft(file)
    ended = programs.run(tmp_path, "verify", "run.h5", patience=PATIENCE)
    assert (ended.code, ended.is_clean) == (1, True), ended
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1
    assert ended.memory < MEMORY
    figure(f"{name}: refused in {ended.seconds:.2f} s, {ended.memory / 1e6:.0f} MB")


def test_a_crash_is_the_verdict(programs: Programs, good: bytes, tmp_path: Path) -> None:
    """Of `verify --isolated`, which also reads good runs."""
    path = tmp_path / "run.h5"
    path.write_bytes(good)
    assert verify_isolated(path).problems == ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "CHILD", "import os; os.kill(os.getpid(), 11)")
        (problem,) = verify_isolated(path).problems
    assert problem.endswith("ends the process (signal 11): damaged or made to do so")


def test_what_a_terminal_would_obey_is_escaped(programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    settings = {"task": "walker\x1b[2J_walk\x07", "profile": "a\nb\x9b", "architecture": "\x1b]0;x"}
    with full_run.create(path, config={"seed": 0, **settings}) as writer:
        full_run.commit(writer, 0)
    for command in (["info"], ["info", "--json"], ["verify"]):
        ended = programs.run(tmp_path, *command, "run.h5")
        assert ended.code == 0, ended
        assert not set(ended.out + ended.err) & {chr(c) for c in (*range(9), 7, 27, 155)}


def test_no_committed_rows_are_one_line(programs: Programs, good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(good)
    with h5py.File(path, "r+") as file:
        file["run/committed"][0] = 0
    ended = programs.run(tmp_path, "verify", "run.h5")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert re.search(r"more than are committed \(and \d+ more: --json\)", ended.err)
    ended = programs.run(tmp_path, "survival", "run.h5", "run.h5")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1), ended
    assert ended.is_clean
