"""Readers of checkpoints by the kind of file: the first that knows a file reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vrlprobe.checkpoints.archive import Archive, is_zip
from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.drqv2 import GLOBAL_STEP, agent_checkpoint, find_agent
from vrlprobe.checkpoints.sb3 import POLICY, sb3_checkpoint
from vrlprobe.checkpoints.statedict import (
    EXPORTED,
    Arrays,
    load_safetensors,
    state_dict,
    state_dict_checkpoint,
    stated,
)
from vrlprobe.checkpoints.torchfile import beside, load_torch, mapping, whole_number
from vrlprobe.errors import FormatError, VrlprobeError
from vrlprobe.runs.paths import no_such_file


@dataclass(frozen=True)
class Source:
    """A file to read, and what the caller says of it; see `read_checkpoint`.

    Attributes:
        where: begins every error's message.
    """

    path: Path
    where: str
    architecture: str | None = None
    image_size: int | None = None
    activation: str | None = None

    @cached_property
    def root(self) -> Any:
        """What torch saved, described without running anything of it."""
        return load_torch(self.path, self.where)


def _safetensors(source: Source) -> Checkpoint | None:
    if source.path.suffix != ".safetensors":
        return None
    return _of_arrays(source, *load_safetensors(source.path))


def _stable_baselines(source: Source) -> Checkpoint | None:
    if not is_zip(source.path):
        return None
    archive = Archive(source.path, source.where)
    return sb3_checkpoint(archive, source.image_size) if POLICY in archive.names else None


def _drqv2(source: Source) -> Checkpoint | None:
    agent = find_agent(source.root)
    if not agent:
        return None
    return agent_checkpoint(source.root, agent, source.where, source.image_size)


def _state_dict(source: Source) -> Checkpoint:
    root = source.root
    found = _of_arrays(source, state_dict(root, source.where), stated(beside(root, EXPORTED)))
    steps = whole_number(mapping(root).get(GLOBAL_STEP))
    return found if found.steps is not None else replace(found, steps=steps)


def _of_arrays(source: Source, arrays: Arrays, told: Mapping[str, Any]) -> Checkpoint:
    return state_dict_checkpoint(
        arrays, source.where, source.architecture, source.image_size, source.activation, told
    )


READERS: dict[str, Callable[[Source], Checkpoint | None]] = {
    "safetensors": _safetensors,
    "Stable-Baselines3": _stable_baselines,
    "DrQ-v2": _drqv2,
    "state dict": _state_dict,
}
"""By the kind of file: None of a file of another kind. The last one takes whatever is left."""


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
        source = Source(path, where, architecture, image_size, activation)
        found = next(filter(None, (read(source) for read in READERS.values())))
    except VrlprobeError:
        raise
    except Exception as error:  # a stranger's file can make nearly anything raise
        text = ascii(f"{type(error).__name__}: {error}")[1:-1][:200]
        raise FormatError(f"{where}: damaged, or no checkpoint ({text})") from None
    for key, wanted in (("architecture", architecture), ("activation", activation)):
        if wanted not in (None, found.config.get(key)):
            raise FormatError(f"{where}: {found.kind}, whose {key} is {found.config.get(key)}")
    return found
