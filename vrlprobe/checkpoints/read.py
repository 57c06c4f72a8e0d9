"""Tells what a checkpoint's file is, and reads it."""

from dataclasses import replace
from pathlib import Path

from vrlprobe.checkpoints.archive import Archive, is_zip
from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.drqv2 import GLOBAL_STEP, agent_checkpoint, find_agent
from vrlprobe.checkpoints.sb3 import POLICY, sb3_checkpoint
from vrlprobe.checkpoints.statedict import (
    EXPORTED,
    load_safetensors,
    state_dict,
    state_dict_checkpoint,
    stated,
)
from vrlprobe.checkpoints.torchfile import beside, load_torch, mapping, whole_number
from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.runs.paths import no_such_file


def read_checkpoint(
    path: Path,
    *,
    architecture: str | None = None,
    image_size: int | None = None,
    activation: str | None = None,
) -> Checkpoint:
    """Read the agent out of a file, without running anything that the file holds.

    Args:
        path: a DrQ-v2 agent as pickled by the reference and its descendants, a zip file of
            Stable-Baselines3, or a plain state dict of torch or safetensors.
        architecture: of a plain state dict, where its names do not tell.
        image_size: height and width of the images where the shapes leave a choice.
        activation: between the layers of a plain state dict that does not say it.

    Raises:
        FormatError: no such file, damaged, or no agent of a known architecture.
        UnsafeFileError: it asks for what no such file has.
    """
    where = str(path)
    if path.is_dir():
        raise FormatError(f"{where}: a folder, needed one file of a checkpoint")
    if not path.is_file():
        raise FormatError(no_such_file(path))
    try:
        found = _read(path, where, architecture, image_size, activation)
    except VrlprobeError:
        raise
    except Exception as error:  # a stranger's file can make nearly anything raise
        text = ascii(f"{type(error).__name__}: {error}")[1:-1][:200]
        raise FormatError(f"{where}: damaged, or no checkpoint ({text})") from None
    for key, wanted in (("architecture", architecture), ("activation", activation)):
        if wanted not in (None, found.config.get(key)):
            raise FormatError(f"{where}: {found.kind}, whose {key} is {found.config.get(key)}")
    return found


def _read(
    path: Path,
    where: str,
    architecture: str | None,
    image_size: int | None,
    activation: str | None,
) -> Checkpoint:
    steps = None
    if path.suffix == ".safetensors":
        arrays, told = load_safetensors(path)
    elif is_zip(path) and POLICY in (archive := Archive(path, where)).names:
        return sb3_checkpoint(archive, image_size)
    else:
        root = load_torch(path, where)
        if agent := find_agent(root):
            return agent_checkpoint(root, agent, where, image_size)
        arrays, told = state_dict(root, where), stated(beside(root, EXPORTED))
        steps = whole_number(mapping(root).get(GLOBAL_STEP))
    found = state_dict_checkpoint(arrays, where, architecture, image_size, activation, told)
    return found if found.steps is not None else replace(found, steps=steps)
