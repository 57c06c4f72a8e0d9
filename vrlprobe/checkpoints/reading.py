"""Tells what a checkpoint's file is, and reads it."""

from pathlib import Path

from vrlprobe.checkpoints.archive import Archive, is_zip
from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.drqv2 import agent_checkpoint, find_agent
from vrlprobe.checkpoints.sb3 import POLICY, sb3_checkpoint
from vrlprobe.checkpoints.statedict import load_safetensors, state_dict, state_dict_checkpoint
from vrlprobe.checkpoints.torchfile import load_torch
from vrlprobe.errors import FormatError


def read_checkpoint(
    path: Path, *, architecture: str | None = None, image_size: int | None = None
) -> Checkpoint:
    """Read the agent out of a file, without running anything that the file holds.

    Args:
        path: a DrQ-v2 agent as pickled by the reference and its descendants, a zip file of
            Stable-Baselines3, or a plain state dict of torch or safetensors.
        architecture: of a plain state dict, where its names do not tell.
        image_size: height and width of the images where the shapes leave a choice.

    Raises:
        FormatError: no such file, damaged, or no agent of a known architecture.
        UnsafeFileError: it asks for what no such file has.
    """
    where = str(path)
    if not path.is_file():
        raise FormatError(f"{where}: no such file")
    found = _read(path, where, architecture, image_size)
    if architecture not in (None, found.config["architecture"]):
        raise FormatError(f"{where}: a {found.kind}, not of the architecture {architecture}")
    return found


def _read(path: Path, where: str, architecture: str | None, image_size: int | None) -> Checkpoint:
    if path.suffix == ".safetensors":
        arrays = load_safetensors(path)
        return state_dict_checkpoint(arrays, where, architecture, image_size)
    if is_zip(path) and POLICY in (archive := Archive(path, where)).names:
        return sb3_checkpoint(archive, image_size)
    root = load_torch(path, where)
    if agent := find_agent(root):
        return agent_checkpoint(root, agent, where, image_size)
    return state_dict_checkpoint(state_dict(root, where), where, architecture, image_size)
