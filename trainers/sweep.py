"""Many runs side by side: what is done is skipped, what was begun goes on."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any, Literal

from trainers.inits import read_init
from trainers.jobs import Job, check_settings, is_done
from trainers.process import keep_freed_memory
from trainers.run import Progress, begin, is_begun, resume
from trainers.scratch import deliver
from vrlprobe.cli.interrupts import interruptible, still_interrupts
from vrlprobe.errors import VrlprobeError
from vrlprobe.format.reader import Run, open_run

Outcome = Literal["done before", "done", "failed"]
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 5.0
MESSAGE = 300
"""Characters of an unexpected error's text that are shown."""


@dataclass(frozen=True)
class Result:
    """How a job ended, and what it said when it failed."""

    job: Job
    outcome: Outcome
    message: str = ""


def work(job: Job, progress: Progress) -> Result:
    """Train one job to its end in this process, from wherever it stands.

    Args:
        job: what to train.
        progress: called after every episode and evaluation; an error that it raises stops the
            training.
    """
    try:
        with still_interrupts():
            if is_done(job):
                return Result(job, "done before")
            _train(job, progress)
    except VrlprobeError as error:
        return Result(job, "failed", str(error))
    except Exception as error:  # a run that breaks is reported, the others go on
        return Result(job, "failed", _broken(job, error))
    trace_path(job.path).unlink(missing_ok=True)
    return Result(job, "done")


def _train(job: Job, progress: Progress) -> None:
    """Begin the job's run, or go on with it, and bring it to its place."""
    begun = next((path for path in (job.place, job.path) if is_begun(path)), None)
    place = begun or job.place
    if begun:
        with open_run(place) as run:
            check_settings(job, place, run.config)
        resume(place, progress)
    else:
        init = read_init(job.init) if job.init else None
        begin(job.config, place, progress, _nothing, init)
    deliver(place, job.path)


def trace_path(path: Path) -> Path:
    """Where the traceback of a run goes that broke: `seed3.error.txt` for `seed3.h5`."""
    return path.with_suffix(".error.txt")


def _broken(job: Job, error: Exception) -> str:
    """An unexpected error in a line; where it happened, which only its author can read, in a file.

    Where that cannot be written, the line has to do.
    """
    first = str(error).partition("\n")[0][:MESSAGE]
    line, place = f"{type(error).__name__}: {first}", trace_path(job.path)
    try:
        place.write_text("".join(traceback.format_exception(error)))
    except OSError:
        return line
    return f"{line} (traceback: {place})"


def sweep(jobs: Sequence[Job], workers: int) -> Generator[Result]:
    """Run jobs, `workers` at once, each in a process of its own; give each result as it comes.

    A process that is killed, as the system does where memory runs out, fails its own job only. When
    the caller stops, so do the trainings.
    """
    context = multiprocessing.get_context("spawn")
    waiting, running = deque(jobs), dict[Any, _Child]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                child = _Child.of(waiting.popleft(), context)
                running[child.answer] = child
            for answer in connection.wait(list(running)):
                yield running.pop(answer).result()
    finally:
        for child in running.values():
            child.process.terminate()
        for child in running.values():
            child.process.join()


@dataclass(frozen=True)
class _Child:
    """A process at work on a job."""

    job: Job
    process: Any
    answer: Any
    """The end of a pipe on which it gives its result, or which is closed when it ends without."""

    @classmethod
    def of(cls, job: Job, context: Any) -> "_Child":
        answer, its_end = context.Pipe(duplex=False)
        process = context.Process(target=_work_in_child, args=(job, os.getpid(), its_end))
        with _ignored(signal.SIGINT):
            process.start()
        its_end.close()
        return cls(job, process, answer)

    def result(self) -> Result:
        """What it answered; failed where it ended without an answer."""
        with self.answer:
            try:
                found: Result | None = self.answer.recv()
            except (EOFError, OSError):  # ended before the answer, or in the middle of it
                found = None
        self.process.join()
        if found:
            return found
        code = self.process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        hint = "for want of memory, perhaps; the same command goes on with it"
        return Result(self.job, "failed", f"its process {how}: {hint}")


@contextmanager
def _ignored(number: signal.Signals) -> Iterator[None]:
    """What is started here ignores a signal: a terminal's Ctrl-C reaches children, too, whose
    imports would each print a traceback. The parent ends them.
    """
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


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


def _work_in_child(job: Job, parent: int, answer: Any) -> None:
    """`work` in a process of its own, on one thread; its result goes into the pipe."""
    from threadpoolctl import threadpool_limits

    try:
        keep_freed_memory()
        _end_with(parent)
        with interruptible(), threadpool_limits(limits=1):
            answer.send(work(job, _nothing))
    except KeyboardInterrupt:  # the parent says so
        sys.exit(130)


def _end_with(parent: int) -> None:
    """On Linux, end this child when its parent is killed: its run file stands that at any moment.

    A signal that Python handles would not do: an exception raised in a destructor is swallowed.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # killed before it could be said
        os.kill(os.getpid(), signal.SIGKILL)


def _nothing(_: Any) -> None:
    """No progress: the parent watches the run files."""
