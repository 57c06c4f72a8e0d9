"""A run's checkpoint as a plain state dict, for other programs."""

import io
import json
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vrlprobe.checkpoints.statedict import EXPORTED
from vrlprobe.errors import FormatError
from vrlprobe.runs.atomic import write_whole
from vrlprobe.runs.collection import one_run
from vrlprobe.runs.paths import as_path, check_new
from vrlprobe.runs.reader import Run

SUFFIXES = (".pt", ".safetensors")


def export_checkpoint(run: Run, frame: int, output: str | os.PathLike[str]) -> dict[str, int]:
    """Write a checkpoint's parameters by dotted name: `actor.trunk.0.weight` …

    Args:
        run: an open run.
        frame: of the checkpoint.
        output: `.pt`, a dict of tensors that torch loads with `weights_only`, or `.safetensors`;
            must not exist. Either says in its metadata which checkpoint it is.

    Returns:
        Numbers in each part.

    Raises:
        FormatError: another ending, or the file exists or cannot be written.
        UnknownFrameError: the run has no such checkpoint.
    """
    one_run(run)
    where = as_path(output)
    check_export(where)
    arrays = run.parameters(frame)
    told = {
        "architecture": str(run.config.get("architecture")),
        "task": str(run.config.get("task")),
        "frame": str(frame),
        "checkpoint": run.digest(frame),
        "config": json.dumps(dict(run.config), sort_keys=True),
    }
    content = _encoded(where.suffix, arrays, told)
    write_whole(where, content)
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        part = name.partition("/")[0]
        sizes[part] = sizes.get(part, 0) + array.size
    return sizes


def check_export(path: Path) -> None:
    """Raise FormatError for a file that exists, or whose ending is not one of `SUFFIXES`."""
    if path.suffix not in SUFFIXES:
        raise FormatError(f"{path}: the ending says the format, needed {' or '.join(SUFFIXES)}")
    check_new(path)


def _encoded(suffix: str, arrays: dict[str, NDArray[np.float32]], told: dict[str, str]) -> bytes:
    """The file's bytes; the libraries' own writing has errors of its own for a full disk."""
    import torch
    from safetensors.torch import save

    tensors = OrderedDict(
        (name.replace("/", ".", 1), torch.from_numpy(np.asarray(array, order="C")))
        for name, array in arrays.items()
    )
    if suffix == ".safetensors":
        return save(tensors, told)
    # A module's own state dict carries its metadata in the same attribute.
    tensors._metadata = {EXPORTED: told}  # type: ignore[attr-defined]
    content = io.BytesIO()
    torch.save(tensors, content)
    return content.getvalue()
