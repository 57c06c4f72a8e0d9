"""Commands that are run with a bad disk, a signal, or a file from a stranger; how they end."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPILER = shutil.which("cc")


@dataclass(frozen=True)
class Fault:
    """Which of the calls that change files under a folder fails, and how; see faults.c.

    Attributes:
        under: part of the files' paths.
        nth: the first call that fails; 0 for none, to count them.
        error: its errno; 0 for a kill.
        for_good: whether all calls after it fail, too.
    """

    under: Path
    nth: int
    error: int = 0
    for_good: bool = False


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: the exit code, negative for a signal.
        out, err: what it printed.
        late: whether it was killed because it took too long.
        seconds, memory: what it took, beyond what all commands have.
        calls: that changed files of the fault's.
    """

    code: int
    out: str
    err: str
    late: bool
    seconds: float
    memory: int
    calls: int

    @property
    def is_clean(self) -> bool:
        """Whether it ended by itself, with no traceback and none of a library's messages."""
        words = ("Traceback", "HDF5-DIAG", "Segmentation", "Exception ignored")
        return self.code >= 0 and not self.late and not any(word in self.err for word in words)


class Programs:
    """Starts commands; a context manager.

    Args:
        folder: for what they print.
        faults: the library that makes calls fail, built by `build_faults`; None for none.
    """

    def __init__(self, folder: Path, faults: Path | None = None) -> None:
        self._logs, self._faults = folder, faults
        self._numbers = count()

    def __enter__(self) -> Self:
        preload = {"LD_PRELOAD": str(self._faults)} if self._faults else {}
        self._server = subprocess.Popen(
            [sys.executable, HERE / "server.py", self._logs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, **preload, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(
        self,
        folder: Path,
        *arguments: Any,
        program: str = "vrlprobe",
        fault: Fault | None = None,
        signals: Sequence[tuple[float, int]] = (),
        patience: float = 60.0,
    ) -> Ended:
        """Run a command in a folder.

        Args:
            folder: its working directory.
            arguments: of the command line.
            program: `vrlprobe` or `vrltrain`.
            fault: of the disk.
            signals: seconds after the start and numbers.
            patience: seconds after which it is killed.
        """
        log = self._logs / str(next(self._numbers))
        given = fault and (str(fault.under), fault.nth, fault.error, fault.for_good)
        job = {
            "program": program, "arguments": [str(a) for a in arguments], "folder": str(folder),
            "log": str(log), "fault": given, "signals": list(signals), "patience": patience,
        }  # fmt: skip
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        texts = [log.with_suffix(f".{name}").read_text(errors="replace") for name in ("out", "err")]
        return Ended(out=texts[0], err=texts[1], **answer)


def build_faults(folder: Path) -> Path:
    """Compile faults.c; needs `COMPILER`."""
    made = folder / "faults.so"
    command = [str(COMPILER), "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "faults.c")]
    subprocess.run([*command, "-ldl"], check=True, timeout=60)
    return made
