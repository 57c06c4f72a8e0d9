"""A contestant in a process of its own, told over its standard input what to do next.

Processes, because the allocator is set by the environment; and told, because blocks of one and of
another take turns.
"""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.processes import cpu_seconds

TUNED = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""glibc's allocator told to keep what is freed, as `vrltrain.process` does for ours."""


@dataclass(frozen=True)
class Spec:
    """What a worker is: settings and files, and the cores that it may use with all it starts."""

    config: Mapping[str, object]
    episodes: str
    scratch: str
    cores: Sequence[int]
    reference: str | None = None


@dataclass(frozen=True)
class Spent:
    """Seconds of one block."""

    wall: float
    cpu: float


class Worker:
    """The near end of a worker's process; use in a `with`."""

    def __init__(self, spec: Spec, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(spec.__dict__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(len(spec.cores)), **environment},
        )

    def begin(self, what: str, count: int) -> None:
        """Have a contestant's method called."""
        assert self.process.stdin is not None
        print(json.dumps([what, count]), file=self.process.stdin, flush=True)

    def end(self) -> Spent:
        """Wait for it."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a contestant ended with status {self.process.wait()}, see above")
        return Spent(*json.loads(line))

    def spend(self, what: str, count: int) -> Spent:
        """Have it called and wait."""
        self.begin(what, count)
        return self.end()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


def serve(spec: Spec) -> None:
    """Build the contestant and do what the lines ask for, answering with the seconds spent."""
    os.sched_setaffinity(0, spec.cores)
    import torch

    from benchmarks.contestants import Ours, Reference
    from vrlprobe.runs.episode import Episode
    from vrltrain.config.settings import TrainConfig

    config = TrainConfig(**spec.config)  # type: ignore[arg-type]
    with np.load(spec.episodes) as stored:
        columns = [stored[field.name] for field in fields(Episode)]
    episodes = [Episode(*parts) for parts in zip(*columns, strict=True)]
    scratch = Path(spec.scratch)
    scratch.mkdir()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the reference prints
    warnings.filterwarnings("ignore", module="torch.utils.data")  # on its loaders' number
    contestant = (
        Reference(config, episodes, scratch, Path(spec.reference))
        if spec.reference
        else Ours(config, episodes, scratch)
    )
    for line in sys.stdin:
        what, count = json.loads(line)
        wall, cpu = time.perf_counter(), cpu_seconds(os.getpid())
        getattr(contestant, what)(count)
        if config.device.startswith("cuda"):
            torch.cuda.synchronize(config.device)
        spent = time.perf_counter() - wall, cpu_seconds(os.getpid()) - cpu
        print(json.dumps(spent), file=answers, flush=True)
    os._exit(0)  # the reference's loaders and renderers print tracebacks at a plain exit


if __name__ == "__main__":
    serve(Spec(**json.loads(sys.argv[1])))
