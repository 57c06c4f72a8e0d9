"""The Control Suite with the OpenGL library that MuJoCo renders with, or why there is none.

Rendering is set up when this module is first imported: off screen by EGL where there is no
display; on the calling thread, as dm_control's own render thread prints tracebacks at exit; and
without threads in Mesa's software renderer, so that runs side by side do not disturb each other.
Triton, which torch's CUDA builds bring along, is loaded before Mesa: the other way round its LLVM
meets Mesa's and the process dies, at torch's first optimizer.
"""

import ctypes
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from vrlprobe.errors import RenderError

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("DISABLE_RENDER_THREAD_OFFLOADING", "1")
os.environ.setdefault("LP_NUM_THREADS", "0")
if "OpenGL" not in sys.modules:
    with suppress(ImportError):
        import_module("triton")

INSTALL = "apt-get install libegl1 libgl1 libopengl0 libgl1-mesa-dri"
"""Installs what renders off screen on Debian and Ubuntu."""
LIBRARIES = {"egl": "libEGL", "osmesa": "libOSMesa", "glfw": "libGL"}
"""The library that each value of MUJOCO_GL needs."""
SETTINGS = ("MUJOCO_GL", "MUJOCO_EGL_DEVICE_ID", "PYOPENGL_PLATFORM", "DISPLAY")
"""Environment variables that choose how MuJoCo renders."""


def suite() -> Any:
    """The Control Suite; its tasks can be listed and simulated without a renderer."""
    return _loaded()[0]


def check_rendering() -> None:
    """Raise RenderError where MuJoCo cannot render, with the reason and what to do."""
    if message := _loaded()[1]:
        raise RenderError(message)


def render_error(error: Exception) -> RenderError:
    """The error to raise for one of PyOpenGL or MuJoCo, which have a type for each cause."""
    message = _explained(_reason(error), dict(os.environ))
    _let_go(error)
    return RenderError(message)


@cache
def _loaded() -> tuple[Any, str]:
    """The suite, and why it cannot render; found out once, a second try can end the process."""
    given = {name: os.environ[name] for name in SETTINGS if os.environ.get(name)}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found, message = import_module("dm_control.suite"), ""
        except Exception as error:
            if not _is_of_rendering(error):
                raise
            found, message = _without_renderer(), _explained(_reason(error), given)
        else:
            if not _has_display():
                reason = next((str(w.message) for w in told if "GLFW" in str(w.category)), "")
                message = _explained(reason or "GLFW has no display", given)
    return found, message


def _is_of_rendering(error: Exception) -> bool:
    """Whether an import failed where dm_control chooses its renderer."""
    modules = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]
    return any(name.startswith("dm_control._render") for name in modules)


def _without_renderer() -> Any:
    """The suite, for its tasks alone."""
    before = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    try:
        return import_module("dm_control.suite")
    finally:
        if before is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = before


def _has_display() -> bool:
    """Whether GLFW opened its display, where it renders: its import goes on without one."""
    if import_module("dm_control._render").BACKEND != "glfw":
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bool(import_module("glfw").init())


def _reason(error: BaseException) -> str:
    """The first line of what went wrong; PyOpenGL has None where a library is not installed."""
    if isinstance(error, AttributeError) and "'NoneType'" in str(error):
        chosen = os.environ.get("MUJOCO_GL", "egl").lower()
        return f"{LIBRARIES.get(chosen, 'the OpenGL library')} is not installed"
    text = str(error).strip().partition("\n")[0]
    return text or (_reason(error.__cause__) if error.__cause__ else type(error).__name__)


def _explained(reason: str, given: Mapping[str, str]) -> str:
    set_here = [f"{name}={given[name]}" for name in SETTINGS if given.get(name)]
    by = f" with {', '.join(set_here)}" if set_here else ""
    return f"cannot render{by}: {reason.rstrip('.')}; {_advice(given)}"


def _advice(given: Mapping[str, str]) -> str:
    """What to do: set or unset a variable where EGL is installed, else install it."""
    egl = given.get("MUJOCO_GL", "").lower() == "egl"
    if not _is_loadable("libEGL.so.1"):
        also = "" if egl else " and set MUJOCO_GL=egl"
        return f"install EGL (Debian, Ubuntu: {INSTALL}){also}"
    choices = ("MUJOCO_EGL_DEVICE_ID", "PYOPENGL_PLATFORM")
    if misled := [name for name in choices if given.get(name, "egl") != "egl"]:
        return f"unset {' and '.join(misled)}"
    if egl:
        return f"install Mesa's drivers (Debian, Ubuntu: {INSTALL})"
    return "set MUJOCO_GL=egl, which is installed here"


def _is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _let_go(error: BaseException) -> None:
    """Free what the frames of an error hold, in silence: a context half made prints a traceback."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook
