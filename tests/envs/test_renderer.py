"""Machines that cannot render: one line with the reason and what to do, from every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.pages import FRAMES, STUCK, WINDOW

BIN = Path(sys.executable).parent
VRLPROBE, VRLTRAIN = BIN / "vrlprobe", BIN / "vrltrain"
PACKAGES = "apt-get install libegl1 libgl1 libopengl0 libgl1-mesa-dri"
OPEN = "from vrlprobe.envs.pixels import PixelEnv\nPixelEnv('cartpole_balance', image_size=8)"
TWICE = f"try:\n    {OPEN.replace(chr(10), chr(10) + '    ')}\nexcept Exception:\n    pass\n{OPEN}"


@pytest.fixture
def bare(tmp_path):
    """An environment in which libEGL cannot be loaded: empty files come first in the search."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    for name in ("libEGL.so", "libEGL.so.0", "libEGL.so.1"):
        (folder / name).touch()
    return surroundings(LD_LIBRARY_PATH=str(folder))


def surroundings(**given: str) -> dict[str, str]:
    """This process's environment without what chooses a renderer, and with what is given."""
    chosen = ("MUJOCO_GL", "MUJOCO_EGL_DEVICE_ID", "PYOPENGL_PLATFORM", "DISPLAY")
    return {name: value for name, value in os.environ.items() if name not in chosen} | given


def call(*command: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=env
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a command that failed."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def without_images(make_run) -> Path:
    return make_run("plain.h5", images=False, config={"image_size": 20})


@pytest.mark.parametrize("command", ["run", "profile", "sweep"])
def test_trainings_name_the_packages(command, bare, tmp_path) -> None:
    options = {
        "run": ["-o", tmp_path / "run.h5"],
        "profile": ["--updates", 1],
        "sweep": ["--seeds", "0", "-o", tmp_path / "runs"],
    }
    done = call(VRLTRAIN, command, "--total-frames", 4001, *options[command], env=bare)
    told = done.stdout if command == "sweep" else refused(done)
    assert done.returncode == 1
    assert "libEGL is not installed; install EGL" in told
    assert PACKAGES in told
    assert not (tmp_path / "run.h5").exists()


def test_a_film_and_an_import_name_the_packages(bare, make_run, tmp_path) -> None:
    plain = without_images(make_run)
    done = call(VRLPROBE, "film", plain, "-o", tmp_path / "strip.png", env=bare)
    assert PACKAGES in refused(done)
    state = tmp_path / "agent.safetensors"
    assert call(VRLPROBE, "export", plain, "-o", state, env=bare).returncode == 0
    to = ("--task", "walker_walk", "-o", tmp_path / "mine.h5")
    assert PACKAGES in refused(call(VRLPROBE, "import", state, *to, env=bare))
    silent = call(VRLPROBE, "import", state, *to, "--episodes", 0, env=bare)
    assert silent.returncode == 0, silent.stderr


def test_a_report_shows_what_is_stored_and_says_what_is_left_out(bare, make_run, tmp_path) -> None:
    page = tmp_path / "page.html"
    kinds = {"frames": FRAMES, "log": STUCK, "config": WINDOW}
    runs = [make_run(f"{n}.h5", seed=n, images=n == 1, **kinds) for n in (1, 2)]
    done = call(VRLPROBE, "report", *runs, "-o", page, env=bare)
    assert done.returncode == 0, done.stderr
    assert page.read_text().count("data:image/jpeg") == 3
    (line,) = [line for line in done.stderr.splitlines() if "left out" in line]
    assert line.startswith("warning: 3 of 6 film strips are left out: cannot render")
    assert PACKAGES in line


@pytest.mark.needs("egl")
@pytest.mark.parametrize(
    ("given", "reason", "advice"),
    [
        ({"MUJOCO_GL": "osmesa"}, "libOSMesa is not installed", "set MUJOCO_GL=egl"),
        ({"MUJOCO_GL": "vulkan"}, "must be one of", "set MUJOCO_GL=egl"),
        ({"DISPLAY": ":77"}, "Failed to open display :77", "set MUJOCO_GL=egl"),
        ({"MUJOCO_EGL_DEVICE_ID": "77"}, "must be an integer between", "unset MUJOCO_EGL_DEVICE_I"),
        ({"MUJOCO_EGL_DEVICE_ID": "x"}, "invalid literal", "unset MUJOCO_EGL_DEVICE_ID"),
        ({"PYOPENGL_PLATFORM": "glx"}, "Cannot use EGL", "unset PYOPENGL_PLATFORM"),
    ],
    ids=str,
)
def test_a_setting_that_misleads_is_named_with_its_reason(given, reason, advice, tmp_path) -> None:
    env = surroundings(**given)
    if given.get("MUJOCO_GL") == "osmesa":  # also where it is installed
        (tmp_path / "libOSMesa.so").touch()
        for digit in range(10):
            (tmp_path / f"libOSMesa.so.{digit}").touch()
        env["LD_LIBRARY_PATH"] = str(tmp_path)
    done = call(sys.executable, "-c", TWICE, env=env)
    assert done.returncode == 1  # a second context would end the process in C++
    told = done.stderr.splitlines()
    assert told[0].startswith("Traceback")  # of Python, for the one error
    assert [line for line in told if "rror" in line][-1] == told[-1]
    assert all(f"{name}={value}" in told[-1] for name, value in given.items())
    assert reason in told[-1]
    assert advice in told[-1]
    assert "Exception ignored" not in done.stderr


@pytest.mark.needs("egl")
def test_a_context_that_fails_half_made_prints_nothing_more() -> None:
    """A display without OpenGL: GLFW begins, and no window can be made."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import glfw; glfw.init = lambda: True\n"
        "from vrlprobe import PixelEnv, VrlprobeError\n"
        "try:\n    PixelEnv('cartpole_balance', image_size=8)\n"
        "except VrlprobeError as error:\n    print(error)"
    )
    done = call(sys.executable, "-c", code, env=surroundings(MUJOCO_GL="glfw"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "valid OpenGL context has not been created" in done.stdout
    assert "set MUJOCO_GL=egl" in done.stdout
