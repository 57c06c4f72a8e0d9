"""Tells what a checkpoint's file is, and reads it."""

from pathlib import Path

from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.drqv2 import agent_checkpoint, find_agent
from vrlprobe.checkpoints.torchfile import load_torch
from vrlprobe.errors import FormatError


def read_checkpoint(path: Path, *, image_size: int | None = None) -> Checkpoint:
    """Read the agent out of a file, without running anything that the file holds.

    Args:
        path: a DrQ-v2 agent as pickled by the reference and its descendants.
        image_size: height and width of the images where the shapes leave a choice.

    Raises:
        FormatError: no such file, damaged, or no agent of a known architecture.
        UnsafeFileError: it asks for what no such file has.
    """
    if not path.is_file():
        raise FormatError(f"{path}: no such file")
    where = str(path)
    root = load_torch(path, where)
    if agent := find_agent(root):
        return agent_checkpoint(root, agent, where, image_size)
    raise FormatError(f"{where}: no agent known here")
