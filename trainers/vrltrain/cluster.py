"""Sweeps on a Dask cluster: each of its workers takes one run at a time."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

from vrlprobe.errors import VrlprobeError
from vrltrain.jobs import Job, Result
from vrltrain.process import keep_freed_memory
from vrltrain.work import work

CONNECT_SECONDS = 30


class Stopped(VrlprobeError):
    """The sweep was stopped, and its trainings with it: none of them broke."""


def sweep_on_cluster(jobs: Sequence[Job], address: str) -> Generator[Result]:
    """Run jobs on a cluster's workers, and give each result as it comes.

    A worker that is lost has its run taken over by another, from the last checkpoint. When the
    caller stops, so do the trainings, at their next episode.

    Args:
        jobs: what to train; the workers need this package and the folders of the paths.
        address: of the scheduler, `tcp://host:8786`.

    Raises:
        VrlprobeError: dask.distributed is missing, no scheduler answers, or a worker takes several
            tasks at once.
    """
    with _client(address) as client:
        from distributed import Event, as_completed

        _check_workers(client)
        stop = f"vrltrain-{uuid4().hex}"
        tasks = {
            client.submit(_work_on_cluster, _placed(job), stop, pure=False): job for job in jobs
        }
        try:
            for task in as_completed(tasks):
                result = _result(task, tasks[task])
                task.release()
                yield result
        finally:
            Event(stop, client=client).set()


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise VrlprobeError(
            "a sweep on a cluster needs dask.distributed: pip install 'vrlprobe[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise VrlprobeError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        yield client


def _check_workers(client: Any) -> None:
    """One training a process: they would share its random streams and its interpreter lock."""
    most = max(client.nthreads().values(), default=1)
    if most > 1:
        raise VrlprobeError(
            f"a worker of the cluster takes {most} tasks at once, a training needs a process of "
            "its own: start the workers with `dask worker --nthreads 1 --nworkers N`"
        )


def _placed(job: Job) -> Job:
    """The job with absolute paths: workers have working folders of their own."""
    init, scratch = (path.absolute() if path else None for path in (job.init, job.scratch))
    return Job(job.config, job.path.absolute(), init, scratch)


def _work_on_cluster(job: Job, stop: str) -> Result:
    from distributed import Event

    stopped = Event(stop)

    def progress(_: Any) -> None:
        if stopped.is_set():
            raise Stopped("the sweep was stopped")

    keep_freed_memory()
    return work(job, progress)


def _result(task: Any, job: Job) -> Result:
    """A task's result with the job as the caller named it."""
    if task.status == "finished":
        result: Result = task.result()
        return replace(result, job=job)
    error = task.exception()
    return Result(job, "failed", f"{type(error).__name__}: {error}")
