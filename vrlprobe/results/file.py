"""Results on disk: NetCDF written at once or not at all, the same bytes for the same content."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from h5netcdf.utils import CompatibilityError

from vrlprobe.errors import FormatError, SampleError
from vrlprobe.runs.memory import Memory
from vrlprobe.runs.output import result_kind, write_output
from vrlprobe.runs.paths import as_path, no_such_file
from vrlprobe.runs.provenance import installed
from vrlprobe.runs.trailer import check_trailer, trailer

PACKAGES = ("vrlprobe", "numpy", "scipy", "torch", "h5py", "xarray")

NEEDED = {
    "probe": ("run", "frame", "layer", "component", "checkpoint"),
    "metrics": ("run", "frame", "layer", "checkpoint"),
    "cohort": ("run", "frame"),
    "contrast": ("measure", "group", "component", "layer"),
    "foretell": ("run", "metric", "frame"),
    "outlook": ("attempt", "frame"),
    "atoms": ("layer", "component"),
    "film": ("row", "time"),
    "similarity": ("run", "frame", "layer", "checkpoint"),
    "diagnose": ("run", "agent", "layer"),
    "ablate": ("run", "condition"),
    "patch": ("run", "donor", "layer"),
    "stitch": ("cnn", "mlp", "donor"),
}
"""By kind, what a result must still have after a selection to be read as a whole one."""


def save_result(dataset: xr.Dataset, path: str | Path, *, force: bool = False) -> None:
    """Write a result as NetCDF with a checksum, atomically; equal datasets give equal bytes.

    It replaces an earlier result of its kind, or with `force` whatever is there.

    Raises:
        FormatError: no result, a value that NetCDF has no kind for, or the folder does not exist or
            cannot be written.
    """
    check_dataset(dataset)
    if "vrlprobe" not in dataset.attrs:
        raise FormatError(
            f"cannot write {path}: the dataset is no result of vrlprobe, or lost its attributes on "
            "the way (xarray's keep_attrs=True keeps them)"
        )
    made = Memory()
    try:
        dataset.to_netcdf(made, engine="h5netcdf")
    except (TypeError, ValueError, CompatibilityError) as error:
        raise FormatError(
            f"cannot write {path}: variables and attributes are text or numbers ({error})"
        ) from error
    content = made.getbuffer()
    kind = result_kind(dataset.attrs["vrlprobe"])
    write_output(path, content, trailer(content), kind=kind, force=force)


def load_result(path: str | Path) -> xr.Dataset:
    """Read a result whole into memory.

    Raises:
        FormatError: no such file, or not one that `save_result` wrote.
        IntegrityError: it is damaged.
    """
    path = as_path(path)
    if path.is_dir():
        raise FormatError(f"{path}: a folder, needed is a result's file; all of them: {path}/*.nc")
    if not path.is_file():
        raise FormatError(no_such_file(path))
    try:
        check_trailer(path)
        dataset = xr.load_dataset(path, engine="h5netcdf", phony_dims="access")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path} is not a result file: {error}") from error
    if "vrlprobe" not in dataset.attrs:
        raise FormatError(f"{path} is a NetCDF file, but not a result of vrlprobe")
    return dataset


def check_named(results: Any) -> None:
    """Raise FormatError for anything but results by their names, one at least."""
    if not isinstance(results, Mapping) or isinstance(results, xr.Dataset) or not results:
        raise FormatError(
            'results are given by names of yours, {"plain": one, "ruled": other}, not as '
            f"{'none' if isinstance(results, Mapping) and not results else type(results).__name__}"
        )
    for name, found in results.items():
        check_dataset(found, str(name))


def check_dataset(found: Any, what: str = "this") -> None:
    """Raise FormatError for anything but a labelled result."""
    if not isinstance(found, xr.Dataset):
        raise FormatError(f"{what} is a {type(found).__name__}, a result of a study is needed")


def check_kind(found: Any, *kinds: str) -> None:
    """Raise FormatError for anything but a whole result of a study of one of these kinds."""
    there = found.attrs.get("vrlprobe", "unknown") if isinstance(found, xr.Dataset) else None
    if there not in kinds:
        given = f"one of {there}" if there else type(found).__name__
        raise FormatError(f"a result of {' or '.join(kinds)} is needed, not {given}")
    for dim in ("run", "frame", "layer", "component"):
        if dim in found.coords and found[dim].ndim == 0:
            name = found[dim].item()
            raise FormatError(
                f"the result has one {dim} and no dimension of it left: select it as a list, "
                f"{dim}=[{name!r}]"
            )
    for name in NEEDED[there]:
        if name not in found.dims and name not in found.variables:
            raise FormatError(
                f"the result lacks {name}: a whole result of {there} is needed, or labels selected "
                "from one as lists"
            )
        if found.sizes.get(name) == 0:
            raise FormatError(f"the result has no {name} left: at least one is needed")


def blank_value(values: xr.DataArray) -> Any:
    """What stands in a result where a run has no value."""
    return {"f": np.nan, "b": False}.get(values.dtype.kind, -1 if values.dtype.kind == "i" else "")


PROBES = {"omp": "sparse linear", "ridge": "ridge", "mlp": "nonlinear (MLP)"}
"""Kinds of probe, in words."""


def probe_kind(result: xr.Dataset) -> str:
    """Of `PROBES`, the kind of probe that a result was made with."""
    return str(json.loads(result.attrs.get("arguments", "{}")).get("probe", "omp"))


def last_checkpoint(result: xr.Dataset, run: str) -> xr.Dataset:
    """One run's part of a result at the last frame that it has."""
    part = result.sel(run=run)
    return part.isel(frame=int(np.flatnonzero(part["checkpoint"].values != "")[-1]))


def at_frame(result: xr.Dataset, frame: int) -> xr.Dataset:
    """A result at one frame; raises SampleError where not every run has it."""
    there = result["frame"].values[(result["checkpoint"] != "").all("run").values].tolist()
    if frame not in there:
        known = ", ".join(map(str, there)) or "none that all runs have"
        raise SampleError(f"no frame {frame} in this result: there are {known}")
    return result.sel(frame=[frame])


def provenance(kind: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Attributes that say what made a result: its kind, the arguments, the versions.

    Times, machines and paths stay out, so that the same computation gives the same bytes.
    """
    return {
        "vrlprobe": kind,
        "arguments": json.dumps(dict(arguments), sort_keys=True, default=_plain),
        "versions": json.dumps(package_versions(), sort_keys=True),
    }


def _plain(value: Any) -> Any:
    """A number or an array of numpy, or a range, as JSON has it; of a set, its items in order."""
    found = np.asarray(value)
    return sorted(value) if found.dtype == object else found.tolist()


@cache
def package_versions() -> dict[str, str]:
    """Name -> version of what results depend on."""
    return installed(PACKAGES)


def control_medians(last: xr.Dataset) -> dict[str, xr.DataArray]:
    """Median R² over components by layer, of the probes and of each control.

    Args:
        last: a run at one frame, of a result of `probe` with controls.
    """
    found = {"median of all": last["test_r2"]}
    for control in last["control"].values.tolist():
        found[f"median, {control}"] = last["control_test_r2"].sel(control=control)
    return {name: r2.median("component").sel(layer=last["layer"]) for name, r2 in found.items()}
