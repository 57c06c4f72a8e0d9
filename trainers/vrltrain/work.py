"""One job of a sweep, trained to its end."""

import traceback

from vrlprobe._interrupts import still_interrupts
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.reader import open_run
from vrltrain.inits import read_init
from vrltrain.jobs import Job, Result, check_settings, ended
from vrltrain.paths import is_begun, trace_path
from vrltrain.run import begin, resume
from vrltrain.scratch import deliver
from vrltrain.train import Progress, quiet

MESSAGE = 300
"""Characters of an unexpected error's text that are shown."""


def work(job: Job, progress: Progress) -> Result:
    """Train one job to its end in this process, from wherever it stands.

    Args:
        job: what to train.
        progress: called after every episode and evaluation; an error that it raises stops the
            training.
    """
    try:
        with still_interrupts():
            if result := ended(job):
                return result
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
        begin(job.config, place, progress, quiet, init)
    deliver(place, job.path)


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
