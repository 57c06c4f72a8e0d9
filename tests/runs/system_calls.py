"""Records what a program does to a file, system call by system call, and does it again."""

import codecs
import itertools
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CHANGING = (
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,"
    "rename,renameat,renameat2,unlink,unlinkat,sendfile,copy_file_range"
)
LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+|\?)")


@dataclass(frozen=True)
class Write:
    """`data` put at `offset`."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    """The file's length set."""

    size: int


@dataclass(frozen=True)
class Report:
    """A line that the program wrote to its standard output."""

    line: str


Event = Write | Truncate | Report


def record(arguments: list[str], path: Path, folder: Path) -> list[Event]:
    """Run a Python program under strace; everything that changed `path`, and its reports."""
    trace, reports = folder / "trace", folder / "reports"
    strace = ["strace", "-f", "-xx", "-s", str(1 << 24), "-e", f"trace={CHANGING}"]
    watched = ["-P", str(path), "-P", str(reports), "-o", str(trace)]
    with reports.open("w") as out:
        command = [*strace, *watched, sys.executable, *arguments]
        subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=True)
    with trace.open() as lines:
        return [event for line in lines if (event := _parse(line)) is not None]


def _parse(line: str) -> Event | None:
    match = LINE.match(line)
    if match is None:
        assert "+++ " in line or "--- " in line, f"not understood: {line[:200]}"
        return None
    name, arguments, result = match.groups()
    if name == "pwrite64":
        _, quoted, _, offset = arguments.split(", ")
        return Write(int(offset), _bytes(quoted)[: int(result)])
    if name == "ftruncate" and result == "0":
        return Truncate(int(arguments.split(", ")[1]))
    if name == "fallocate" and result == "0":
        return Truncate(int(arguments.split(", ")[3]))
    if name == "unlink":  # of the room that was tried: nothing is left in it
        return Truncate(0)
    if name == "write":
        return Report(_bytes(arguments.split(", ")[1]).decode().strip())
    raise AssertionError(f"a call that this test does not replay: {line[:200]}")


def _bytes(quoted: str) -> bytes:
    assert quoted[0] + quoted[-1] == '""', "strace cut the data off"
    return codecs.decode(quoted[1:-1].replace("\\x", ""), "hex")


def apply(event: Event, descriptor: int) -> None:
    """Do a recorded event to another file."""
    if isinstance(event, Write):
        assert os.pwrite(descriptor, event.data, event.offset) == len(event.data)
    elif isinstance(event, Truncate):
        os.ftruncate(descriptor, event.size)


def pages(event: Event) -> list[Event]:
    """A write cut at page boundaries, where a kill can interrupt it; other events whole."""
    if not isinstance(event, Write):
        return [event]
    start, stop = event.offset, event.offset + len(event.data)
    edges = [start, *range(start // 4096 * 4096 + 4096, stop, 4096), stop]
    return [Write(a, event.data[a - start : b - start]) for a, b in itertools.pairwise(edges)]
