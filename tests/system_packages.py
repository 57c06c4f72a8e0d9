"""The libraries and programs outside Python that tests need, and the packages that have them.

`python tests/system_packages.py` installs what is missing where it may, as root on a system with
apt-get; else it says in one line what is missing, and the tests that need it are skipped.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache


def _libraries(*names: str) -> Callable[[], bool]:
    """Whether one of some libraries can be loaded."""

    def found() -> bool:
        for name in names:
            try:
                ctypes.CDLL(name)
            except OSError:
                continue
            return True
        return False

    return found


def _programs(*names: str) -> Callable[[], bool]:
    """Whether all of some programs are installed."""
    return lambda: all(map(shutil.which, names))


NEEDS: dict[str, tuple[tuple[Callable[[], bool], ...], tuple[str, ...]]] = {
    "egl": (
        (_libraries("libEGL.so.1"), _libraries("libOpenGL.so.0", "libGL.so.1")),
        ("libegl1", "libgl1", "libopengl0", "libgl1-mesa-dri"),
    ),
    "strace": ((_programs("strace"),), ("strace",)),
    "ffmpeg": ((_programs("ffmpeg"),), ("ffmpeg",)),
    "chromium": ((_programs("chromium", "chromedriver"),), ("chromium", "chromium-driver")),
}
"""By the name that a test's mark `needs` gives: what must be found, and the Debian packages."""


@cache
def is_missing(need: str) -> bool:
    """Whether this machine lacks what a test needs."""
    return not all(found() for found in NEEDS[need][0])


def command_for(needs: Iterable[str]) -> str:
    """What installs the packages of some needs."""
    return " ".join(["apt-get", "install", *(part for need in needs for part in NEEDS[need][1])])


def reason(need: str) -> str:
    """Why a test is skipped."""
    return f"needs {need} ({command_for([need])})"


def may_install() -> bool:
    """Whether packages can be installed here without asking."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(needs: Iterable[str]) -> None:
    """Install the packages of some needs; failures are left to the check that follows."""
    packages = [part for need in needs for part in NEEDS[need][1]]
    print(f"installing {' '.join(packages)}", file=sys.stderr, flush=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", *command, "-qq"], env=quiet, stdout=subprocess.DEVNULL)


def main() -> None:
    """Install what is missing, or say so."""
    missing = [need for need in NEEDS if is_missing(need)]
    if missing and may_install():
        install(missing)
        is_missing.cache_clear()
        missing = [need for need in missing if is_missing(need)]
    if missing:
        print(
            f"not installed: {', '.join(missing)}; the tests that need them are skipped. "
            f"To run all: sudo {command_for(missing)}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
