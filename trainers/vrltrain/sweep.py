"""Many runs side by side: what is done is skipped, what was begun goes on."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

from vrlprobe._interrupts import interruptible
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.reader import Run, open_run
from vrltrain.children import Child, start_child
from vrltrain.jobs import Job, Result, ended
from vrltrain.process import keep_freed_memory

POLL_SECONDS = 5.0


def sweep(jobs: Sequence[Job], workers: int) -> Generator[Result]:
    """Run jobs, `workers` at once, each in a process of its own; give each result as it comes.

    A process that is killed, as the system does where memory runs out, fails its own job only. When
    the caller stops, so do the trainings.
    """
    waiting, running = deque(jobs), dict[Any, _Worker]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                if result := ended(job := waiting.popleft()):
                    yield result
                else:
                    worker = _Worker.of(job)
                    running[worker.pipe] = worker
            for pipe in connection.wait(list(running)) if running else ():
                yield running.pop(pipe).result()
    finally:
        for worker in running.values():
            worker.process.terminate()
        for worker in running.values():
            worker.process.wait()


@dataclass(frozen=True)
class _Worker:
    """A process at work on a job."""

    job: Job
    process: Child
    pipe: connection.Connection
    """On which it gives its result, or whose other end is closed when it ends without."""

    @classmethod
    def of(cls, job: Job) -> "_Worker":
        pipe, process = start_child(serve)
        with suppress(OSError):  # ended already: its result says how
            pipe.send(job)
        return cls(job, process, pipe)

    def result(self) -> Result:
        """What it answered; failed where it ended without an answer."""
        try:
            found: Result | None = self.pipe.recv()
        except (EOFError, OSError):  # ended before the answer, or in the middle of it
            found = None
        code = self.process.wait()
        self.pipe.close()
        if found:
            return found
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        hint = "for want of memory, perhaps; the same command goes on with it"
        return Result(self.job, "failed", f"its process {how}: {hint}")


@dataclass(frozen=True)
class Standing:
    """Where a run is: its last committed frame, the return and the attempt there."""

    frame: int
    returned: float
    attempt: int


@contextmanager
def watched(jobs: Sequence[Job], show: Callable[[Mapping[Path, Standing]], None]) -> Iterator[None]:
    """Call `show` every few seconds with where each run stands that has begun.

    Args:
        jobs: to look at; the caller may take out those that have ended.
        show: called in a thread of its own.
    """
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(POLL_SECONDS):
            show(standings(tuple(jobs)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def standings(jobs: Iterable[Job]) -> dict[Path, Standing]:
    """Where each run stands that has begun, by its job's path."""
    found = {}
    for job in jobs:
        try:
            with open_run(job.place) as run:
                found[job.path] = _standing(run)
        except VrlprobeError:
            continue
    return found


def _standing(run: Run) -> Standing:
    if not len(run.frames):
        return Standing(0, float("nan"), 1)
    row, unknown = len(run.frames) - 1, {"episode_return": float("nan"), "attempt": 1}
    returned, attempt = (
        run.read(f"log/{name}", row) if name in run.layout.log else otherwise
        for name, otherwise in unknown.items()  # another program's run has another log
    )
    return Standing(int(run.frames[-1]), float(returned), int(attempt))


def serve(parent: connection.Connection) -> None:
    """`work` on the job that the sweep at the other end sends, on one thread; answer its result."""
    from threadpoolctl import threadpool_limits

    from vrltrain.train import quiet  # torch, which the sweep itself does not need
    from vrltrain.work import work

    job: Job = parent.recv()
    try:
        keep_freed_memory()
        with interruptible(), threadpool_limits(limits=1):
            parent.send(work(job, quiet))
    except KeyboardInterrupt:  # the parent says so
        sys.exit(130)
