"""Which software wrote a run."""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
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
