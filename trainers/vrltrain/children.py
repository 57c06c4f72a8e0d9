"""Processes that a training or a sweep starts: each serves one end of a pipe, and ends with it."""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, Pipe

Child = subprocess.Popen[bytes]


def start_child(serve: Callable[[Connection], None]) -> tuple[Connection, Child]:
    """A process that calls a module's function with the other end of a pipe.

    It is killed when this end is closed: by hand, or because this process ended, however it did. A
    terminal's Ctrl-C does not reach it, as it would end in a traceback of whatever it imports just
    then; who started it ends it. Any thread may start one.

    Args:
        serve: a function at the top of its module, which the process imports.

    Returns:
        This end of the pipe, and the process.
    """
    near, far = Pipe()
    arguments = (serve.__module__, serve.__name__, str(far.fileno()))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the process inherits it
    try:
        with far:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vrltrain.children", *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
            )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return near, process


def _end_with(pipe: Connection) -> None:
    """Wait until the other end is closed, and end; run files stand that at any moment.

    A signal that Python handles would not do: an exception raised in a destructor is swallowed.
    """
    closed = select.poll()
    closed.register(pipe.fileno(), select.POLLHUP)  # only macOS has to be asked for it
    while not closed.poll():  # and may wake for data that the other thread is about to read
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _main(module: str, name: str, descriptor: str) -> None:
    pipe = Connection(int(descriptor))
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    with suppress(EOFError, ConnectionError):  # the other end was closed
        getattr(import_module(module), name)(pipe)


if __name__ == "__main__":
    _main(*sys.argv[1:])
