"""What `make test` does about system packages: it installs them where it may, else it says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import system_packages
from tests.system_packages import NEEDS

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with no program but an apt-get that writes down what it is asked, and no EGL."""
    for name in ("libEGL.so", "libEGL.so.0", "libEGL.so.1"):
        (tmp_path / name).touch()
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    return tmp_path


def script() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, system_packages.__file__], capture_output=True, text=True, check=False
    )


def test_what_is_missing_is_one_line(bare) -> None:
    (bare / "apt-get").unlink()
    done = script()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", 1)
    assert done.stderr.startswith("not installed: egl, strace, ffmpeg, chromium; ")
    assert "sudo apt-get install libegl1 libgl1 libopengl0 libgl1-mesa-dri strace" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_root_installs_every_package(bare) -> None:
    done = script()
    assert done.returncode == 0
    update, install = (bare / "asked").read_text().splitlines()
    assert update.split()[0] == "update"
    packages = {package for _, names in NEEDS.values() for package in names}
    assert packages <= set(install.split())
    assert "-y" in install


def test_tests_without_their_library_are_skipped_with_the_reason(bare, tmp_path) -> None:
    listed = (
        "tests/envs/test_pixels.py",
        "tests/runs/test_cut_points.py",
        "tests/report/test_browser.py",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *listed],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    for need in ("egl", "strace", "chromium"):
        assert system_packages.reason(need) in done.stdout.replace("\n", "")


def test_readers_are_told_the_same_packages() -> None:
    needed = system_packages.command_for(NEEDS)
    for page in ("README.md", "CONTRIBUTING.md"):
        assert needed in " ".join((ROOT / page).read_text().split()), page
