"""Settings of the whole process that make a CPU training run fast and easy to stop."""

import ctypes
import signal
import sys
from types import FrameType

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
_interrupted = False


def prepare() -> None:
    """Keep freed memory, let SIGTERM end a run as Ctrl-C does, and neither be lost.

    Where Ctrl-C is ignored (a shell's background jobs) it still is.
    """
    global _interrupted
    keep_freed_memory()
    _interrupted = False
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def go_on() -> None:
    """Nothing, or the interrupt that came in a destructor, where Python swallows exceptions.

    Raises:
        KeyboardInterrupt: a signal asked this process to end.
    """
    if _interrupted:
        raise KeyboardInterrupt


def keep_freed_memory() -> None:
    """Have glibc reuse freed blocks instead of returning them to the kernel.

    An update frees and takes the same tens of megabytes; by default the kernel zeroes their pages
    each time, 45% of the reference trainer's time on a CPU. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 2**28)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _interrupted
    if _interrupted:  # the first one is being obeyed: another would break into what it cleans up
        return
    _interrupted = True
    raise KeyboardInterrupt
