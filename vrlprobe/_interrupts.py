"""Ctrl-C, SIGTERM and SIGHUP end a command, once, wherever they strike."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

AGAIN_SECONDS = 0.01
_asked = False


@contextmanager
def still_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt again where a signal's became another error on its way.

    An import that is interrupted may raise ImportError. Whoever makes a line of any error in a
    process that is `interruptible` lets it come through here first.
    """
    try:
        yield
    except Exception as error:
        if _asked:
            raise KeyboardInterrupt from error
        raise


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, and none be lost.

    Where Ctrl-C or SIGHUP is ignored (a shell's background jobs, nohup) it still is. After the
    first one, all others are ignored until the process has ended.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():  # it never gets a signal
        yield
        return
    _asked = False
    numbers = [signal.SIGTERM, signal.SIGALRM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    hook = sys.unraisablehook

    def unraisable(error: Any) -> None:
        if error.exc_type is KeyboardInterrupt:  # swallowed by a destructor: raised again, outside
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
        elif not _asked:  # what half-made objects say at their end is no news
            hook(error)

    sys.unraisablehook = unraisable
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not _asked:  # else the process ends, and with it what the exception's frames hold
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _asked
    if _asked and signum != signal.SIGALRM:
        return  # the first one is being obeyed: another would break into what it cleans up
    _asked = True
    raise KeyboardInterrupt
