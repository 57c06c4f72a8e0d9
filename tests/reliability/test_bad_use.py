"""Bad use gets one line: generated arguments and mutated files, through both command lines."""

import hashlib
import json
import signal
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pytest

from tests.conftest import write_run
from tests.reliability.programs import Ended, Programs

pytestmark = pytest.mark.reliability
WINDOW = {"rule_window": 1000}
FILES = ("a.h5", "b.h5", "set.h5", "m.nc", "c.nc", "p.nc", "a.json", "w.pt", "w.safetensors")
JUNK: list[Any] = [
    *("", "0", "-1", "1", "2.5", "1e400", "nan", "inf", "99999999999999999999", "all", "last"),
    *("@", "a.h5@", "a.h5@best", "good", "cnn4,mlp1", ",", "é\x1b[2J", "x" * 300, "$\\alpha$"),
    *("/", "..", ".", "/dev/null", "none.h5", "out.nc", "out.png", "out.h5", "out.html", *FILES),
]
ON_FILES = [
    *(["verify", "a.h5"], ["info", "a.h5"], ["collapse", "a.h5"], ["reset-rule", "a.h5"]),
    *(["survival", "a.h5", "b.h5"], ["cohort", "a.h5", "b.h5", "-o", "out.nc"]),
    *(["cohort", "a.json", "-o", "out.nc"], ["metrics", "a.h5", "--samples", "set.h5"]),
    ["probe", "a.h5", "--samples", "set.h5", "--layers", "mlp1", "--no-cache", "-o", "out.nc"],
    *(["samples", "a.h5", "b.h5", "-o", "out.h5"], ["film", "a.h5", "-o", "out.png"]),
    *(["report", "a.h5", "b.h5", "-o", "out.html"], ["salvage", "a.h5", "-o", "out.h5"]),
    *(["plot", "metrics", "m.nc", "-o", "out.png"], ["plot", "cohort", "c.nc", "-o", "out.png"]),
    *(["plot", "probe", "p.nc", "-o", "out.png"], ["compare", "c.nc", "c.nc"]),
    *(["contrast", "p.nc"], ["predict", "p.nc", "a.h5", "b.h5"], ["units", "p.nc"]),
    *(["transplant", "--cnn", "a.h5", "--mlp", "b.h5", "-o", "out.h5"],),
    *(["export", "a.h5", "-o", "out.pt"], ["activations", "a.h5", "-o", "out.nc"]),
    *(["import", "w.pt", "-o", "out.h5", "--task", "walker_walk", "--episodes", "0"],),
    ["import", "w.safetensors", "-o", "out.h5", "--task", "walker_walk", "--episodes", "0"],
    ["vrltrain", "resume", "a.h5"],
]
"""Commands, each with a file that is mutated."""
NOT_TRIED = {"grid", "stitch", "export"}
"""Commands without generated arguments: they take minutes, or write to the user's folders."""


@pytest.fixture(scope="module")
def inputs(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of every kind that commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate("ab"):
        write_run(folder / f"{name}.h5", seed=seed, frames=(0, 1000), reward=30.0, config=WINDOW)
    for line in (
        ["samples", "a.h5", "b.h5", "-n", "100", "-o", "set.h5"],
        ["metrics", "a.h5", "b.h5", "--samples", "set.h5", "-o", "m.nc"],
        ["cohort", "a.h5", "b.h5", "-o", "c.nc", "--record", "."],
        ["probe", "a.h5", "b.h5", "--samples", "set.h5", "--frames", "last", "--no-cache",
         "--layers", "cnn4,mlp1", "--max-atoms", "2", "-j", "1", "-o", "p.nc"],
        ["export", "a.h5", "-o", "w.pt"],
        ["export", "a.h5", "-o", "w.safetensors"],
    ):  # fmt: skip
        assert (ended := programs.run(folder, *line)).code == 0, ended
    next(folder.glob("walker*seed0*.json")).rename(folder / "a.json")
    return {name: (folder / name).read_bytes() for name in FILES}


def test_mutated_files(
    inputs: dict[str, bytes], programs: Programs, tmp_path: Path,
    cases: Callable[[int, int], int], figure: Callable[[str], None],
) -> None:  # fmt: skip
    tried = cases(25, 3500)
    for case in range(tried):
        rng = np.random.default_rng(case)
        line = ON_FILES[case % len(ON_FILES)]
        victim = rng.choice([word for word in line if word in FILES])
        change = rng.choice(CHANGES)
        lay_out(tmp_path, inputs)
        (tmp_path / victim).write_bytes(change(inputs[victim], rng, tmp_path, inputs))
        check(programs, tmp_path, line, (case, change.__name__, victim))
    figure(f"{tried} mutated files: 0 tracebacks, 0 crashes, no input changed")


def test_generated_arguments(
    inputs: dict[str, bytes], programs: Programs, tmp_path: Path,
    cases: Callable[[int, int], int], figure: Callable[[str], None],
) -> None:  # fmt: skip
    tried, every = cases(25, 1500), list(commands())
    for case in range(tried):
        rng = np.random.default_rng(case)
        words, command = every[case % len(every)]
        lay_out(tmp_path, inputs)
        check(programs, tmp_path, [*words, *arguments(command, rng)], (case,))
    figure(f"{tried} generated command lines: 0 tracebacks, 0 crashes, no input changed")


def lay_out(folder: Path, inputs: dict[str, bytes]) -> None:
    """Only the inputs, as they were."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, content in inputs.items():
        (folder / name).write_bytes(content)


def check(programs: Programs, folder: Path, line: list[str], told: tuple[Any, ...]) -> None:
    """Run a command: an answer, or one line; what it was given is as it was."""
    program = "vrltrain" if line[0] == "vrltrain" else "vrlprobe"
    given = line[1:] if program == "vrltrain" else line
    before = digests(folder)
    ended = programs.run(
        folder, *given, program=program, patience=40.0, signals=[(15.0, signal.SIGTERM)]
    )
    assert ended.is_clean, (*told, line, ended)
    assert ended.code in (0, 1, 2, 130), (*told, line, ended)
    if ended.code in (1, 2) and given[0] != "verify":
        assert is_told(ended, len(given) - 1), (*told, line, ended)
    if given[0] != "resume":  # which writes on
        after = digests(folder)
        assert {name: after.get(name) for name in before} == before, (*told, line, ended)


def is_told(ended: Ended, files: int) -> bool:
    """Whether the last line of stderr is an error, a line a file at most, or JSON says it."""
    lines = ended.err.splitlines()
    errors = [text for text in lines if text.startswith(("vrlprobe", "vrltrain"))]
    if not errors:
        return bool(json.loads(ended.out))
    return errors[-1] == lines[-1] and len(errors) <= max(files, 1)


def digests(folder: Path) -> dict[str, str]:
    """Of the inputs."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in FILES
        if (folder / name).exists()
    }


def commands() -> list[tuple[list[str], click.Command]]:
    """Every command of both programs, with the words that call it."""
    found: list[tuple[list[str], click.Command]] = []
    for program, module in (("", "vrlprobe.cli.main"), ("vrltrain", "vrltrain.cli")):
        group = import_module(module).main
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            words = [program, name] if program else [name]
            if isinstance(command, click.Group):
                found += [([*words, part], sub) for part, sub in command.commands.items()]
            elif name not in NOT_TRIED:
                found.append((words, command))
    return found


def arguments(command: click.Command, rng: np.random.Generator) -> list[str]:
    """Some arguments and options of a command, each with a value that fits or does not."""
    options = [item for item in command.params if isinstance(item, click.Option)]
    chosen = rng.permutation(len(options))[: rng.integers(0, 4)]
    given = [str(rng.choice(JUNK)) for _ in range(rng.integers(0, 3))]
    for place in chosen:
        option = options[place]
        given.append(str(rng.choice([*option.opts, *option.secondary_opts])))
        if not option.is_flag:
            given.append(str(rng.choice(JUNK)))
    return given


def flipped(content: bytes, rng: np.random.Generator, *_: Any) -> bytes:
    """Some bits are others."""
    data = np.frombuffer(content, np.uint8).copy()
    where = rng.integers(0, len(data), rng.integers(1, 20))
    data[where] ^= (1 << rng.integers(0, 8, len(where))).astype(np.uint8)
    return data.tobytes()


def cut(content: bytes, rng: np.random.Generator, *_: Any) -> bytes:
    """The end is missing, and at times the beginning."""
    return content[rng.choice([0, 0, 1, 8]) : rng.integers(0, len(content))]


def spliced(content: bytes, rng: np.random.Generator, _: Path, inputs: dict[str, bytes]) -> bytes:
    """A piece of another file in the middle."""
    other = inputs[rng.choice(FILES)]
    at, start = rng.integers(0, len(content)), rng.integers(0, len(other))
    return content[:at] + other[start : start + rng.integers(1, 5000)] + content[at:]


def exchanged(_: bytes, rng: np.random.Generator, __: Path, inputs: dict[str, bytes]) -> bytes:
    """A file of another kind."""
    return inputs[rng.choice(FILES)]


def restructured(content: bytes, rng: np.random.Generator, folder: Path, *_: Any) -> bytes:
    """An object or an attribute of HDF5, a value of JSON or a weight is gone or is another."""
    if content.startswith(b"\x89HDF"):
        return _hdf5(content, rng, folder)
    if content.startswith(b"{"):
        return json.dumps(_json(json.loads(content), rng)).encode()
    return flipped(content[:400], rng) + content[400:]


CHANGES = [flipped, cut, spliced, exchanged, restructured, restructured, restructured]


def _hdf5(content: bytes, rng: np.random.Generator, folder: Path) -> bytes:
    path = folder / "made.tmp"
    path.write_bytes(content)
    with h5py.File(path, "r+", libver="v110") as file:
        names: list[str] = []
        file.visit(names.append)
        name = str(rng.choice(names))
        item = file[name]
        attributes = list(item.attrs)
        match int(rng.integers(0, 4)):
            case 0:
                del file[name]
            case 1 if attributes:
                key = str(rng.choice(attributes))
                h5py.h5a.delete(item.id, key.encode())
                if rng.random() < 0.5:
                    item.attrs[key] = str(rng.choice(JUNK))
            case 2 if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.size:
                values = item[...]
                values.flat[rng.integers(0, values.size)] = rng.choice([0, 1, 127])
                item[...] = values
            case _ if isinstance(item, h5py.Dataset):
                del file[name]
                shape = [(), (2,), (1, 2, 3)][rng.integers(0, 3)]
                file.create_dataset(name, shape=shape, dtype=str(rng.choice(["f8", "i1", "S4"])))
    changed = path.read_bytes()
    path.unlink()
    return changed


def _json(value: Any, rng: np.random.Generator) -> Any:
    """The same with one value in it, at any depth, that is another or is missing."""
    if isinstance(value, dict | list) and value and rng.random() < 0.8:
        places = list(value) if isinstance(value, dict) else range(len(value))
        place = places[rng.integers(0, len(places))]
        copy = value.copy()
        if rng.random() < 0.2:
            del copy[place]
        else:
            copy[place] = _json(copy[place], rng)
        return copy
    return [None, -1, 10**30, "x", [], {}, True, float("nan"), "\x1b"][rng.integers(0, 9)]
