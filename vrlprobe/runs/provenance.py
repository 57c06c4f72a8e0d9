"""Which software wrote a run."""

import platform
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py

PACKAGES = ("vrlprobe", "numpy", "h5py", "torch", "dm_control", "mujoco")


def with_versions(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance with `versions` of Python, HDF5 and the packages, where it has none."""
    return {"versions": versions(), **provenance}


def stated_versions(provenance: Mapping[str, Any]) -> dict[str, str]:
    """The `versions` in a run's provenance; none where another program has something else there."""
    found = provenance.get("versions")
    return dict(found) if isinstance(found, Mapping) else {}


def stated_steps(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The copies and salvages behind a run, its `origin`, without what is none of this package."""
    found = provenance.get("origin")
    return [
        step
        for step in (found if isinstance(found, list) else [])
        if isinstance(step, dict) and {"operation", "file"} <= step.keys()
    ]


def stated_donors(provenance: Mapping[str, Any]) -> set[str]:
    """Digests of the checkpoints of which a transplant, or what a training began with, is made.

    Without what is none of this package's.
    """
    found = set()
    for made in (provenance.get("transplant"), provenance.get("init")):
        if isinstance(made, Mapping):
            pieces = made.get("pieces")
            origins = pieces.values() if isinstance(pieces, Mapping) else ()
            found |= {o["checkpoint"] for o in (made, *origins) if _has_checkpoint(o)}
    return found


def _has_checkpoint(origin: Any) -> bool:
    return isinstance(origin, Mapping) and isinstance(origin.get("checkpoint"), str)


@cache
def revision() -> dict[str, str]:
    """Which code this is: the version, and the git commit where the package lies in a checkout.

    The commit ends in `+` where tracked files have changes that are not committed.
    """
    found = {"vrlprobe": installed(["vrlprobe"]).get("vrlprobe", "unknown")}
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists() and (commit := _git(root, "rev-parse", "HEAD")):
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "*.py")
        found["revision"] = commit + ("+" if changed else "")
    return found


def _git(root: Path, *arguments: str) -> str:
    """What git prints in a checkout; nothing where there is no git or it fails."""
    try:
        ended = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


@cache
def processor() -> str:
    """The model of this machine's processor; float32 products are rounded by what it can do.

    On Linux with its family, model and stepping, since virtual machines hide its name.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    numbers = "/".join(fields.get(name, "?") for name in ("cpu family", "model", "stepping"))
    return f"{fields.get('model name', platform.machine())} ({numbers})"


def versions() -> dict[str, str]:
    """Name -> version of what is installed here and bears on a run."""
    return {"hdf5": h5py.version.hdf5_version, **installed(PACKAGES)}


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Name -> version of Python and of those of the packages that say theirs."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
