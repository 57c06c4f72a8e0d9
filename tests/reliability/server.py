"""Runs commands of vrlprobe and vrltrain, each in a process that is forked when all is imported.

As a program: reads a JSON object a line, `Job`, and answers with one, `programs.Ended`. A command
then starts within milliseconds, and ends as any program does, with what its libraries do last.
"""

import atexit
import contextlib
import ctypes
import gc
import io
import json
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

import vrlprobe


def imported() -> None:
    """Import what commands import when they are called."""
    from vrlprobe.cli.main import COMMANDS, main

    for name in COMMANDS:
        main.get_command(None, name)  # type: ignore[arg-type]
    modules = [item.name for item in pkgutil.walk_packages(vrlprobe.__path__, "vrlprobe.")]
    for name in (*modules, "h5netcdf", "matplotlib.backends.backend_agg", "vrltrain.run"):
        if not name.endswith("__main__"):
            import_module(name)
    torch.set_num_threads(1)  # no thread is there when commands are forked


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def command(job: dict[str, Any]) -> int:
    """Be the command; its exit code."""
    os.chdir(job["folder"])
    out = os.open(job["log"] + ".out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    err = os.open(job["log"] + ".err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor, number in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if job["fault"]:
        path, nth, error, for_good = job["fault"]
        ctypes.CDLL(None).faults_arm(path.encode(), nth, error, int(for_good))
    module = {"vrlprobe": "vrlprobe.cli.main", "vrltrain": "vrltrain.cli"}[job["program"]]
    try:
        import_module(module).main(args=job["arguments"], prog_name=job["program"])
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    return 1


def leave(code: int) -> None:
    """End the process, with all that Python and the libraries do at its end.

    But for what Python's objects do: the fork has a copy of the parent's, half a second of work.
    """
    gc.collect()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    ctypes.CDLL(None).exit(code)


def watched(pid: int, job: dict[str, Any]) -> tuple[int, bool, int]:
    """The command's status, whether it was killed for its time, and the most memory it had."""
    start, peak = time.monotonic(), 0
    signals = sorted(job["signals"])
    while True:
        done, status, used = os.wait4(pid, os.WNOHANG)
        if done:
            return status, False, max(peak, used.ru_maxrss * 1024)
        passed = time.monotonic() - start
        while signals and passed >= signals[0][0]:
            os.kill(pid, signals.pop(0)[1])
        if passed > job["patience"]:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1], True, peak
        time.sleep(0.002)


def warm(folder: str) -> None:
    """Run some commands here, for what they import and set up when they are first called."""
    from tests.conftest import write_run
    from vrlprobe.cli.main import main

    os.chdir(folder)
    run = write_run(Path("warm.h5"), frames=(0, 1000), reward=30.0, config={"rule_window": 1000})
    for command in (["report", run, "-o", "a.html"], ["metrics", run], ["film", run, "-o", "a.png"],
                    ["verify", run], ["samples", run, "-o", "set.h5"]):  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            main([str(word) for word in command], standalone_mode=False)


def main() -> None:
    """See the module."""
    imported()
    warm(sys.argv[1])
    gc.collect()
    gc.freeze()  # else each command copies all of this process's objects when it looks for garbage
    for line in sys.stdin:
        job = json.loads(line)
        start = time.monotonic()
        if not (pid := os.fork()):
            leave(command(job))
        before = resident(pid)
        status, late, peak = watched(pid, job)
        answer = {
            "code": os.waitstatus_to_exitcode(status),
            "late": late,
            "seconds": time.monotonic() - start,
            "memory": max(0, peak - before),
            "calls": ctypes.CDLL(None).faults_seen() if job["fault"] else 0,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
