"""Plain state dicts: tensors by name, in torch's format or in safetensors'."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.checkpoints.checkpoint import Checkpoint, check_fit
from vrlprobe.checkpoints.drqv2 import ACTION_REPEAT, drqv2_config
from vrlprobe.checkpoints.nature import find_names, nature_checkpoint
from vrlprobe.checkpoints.torchfile import check_numbers, is_tensor, mapping, tensor_array
from vrlprobe.errors import FormatError
from vrlprobe.runs.architectures import architecture as find_architecture

KNOWN = ("drqv2", "nature")
"""Architectures that are told by the names of their tensors, whatever prefix they have."""
DRQV2_PARTS = ("encoder", "actor", "critic", "critic_target")
DRQV2_FIRST = "encoder.convnet.0.weight"
MODULES = ("module", "_orig_mod")
"""What DataParallel and torch.compile put before, or between, the names of a module's tensors."""
WRAPPERS = (
    *("state_dict", "model_state_dict", "agent_state_dict", "model", "agent", "net"),
    *("policy", "policy_state_dict", "params", "weights"),
)
"""Keys under which trainers keep a state dict, one in another perhaps."""
EXPORTED = "vrlprobe"
"""Where a `.pt` of `vrlprobe export` keeps what it states, in the state dict's `_metadata`."""
MAX_DEPTH = 4
MAX_ENTRIES = 100_000
"""Looked at in dicts of dicts; one that holds itself has no end."""
Arrays = dict[str, NDArray[np.float32]]


def state_dict(root: Any, where: str) -> Arrays:
    """The tensors of a described dict by dotted name; dicts in dicts are joined by a dot."""
    found: Arrays = {}
    size = 0
    for count, (name, node) in enumerate(_entries(root)):
        if count >= MAX_ENTRIES:
            raise FormatError(f"{where}: more than {MAX_ENTRIES} entries, no agent has so many")
        if is_tensor(node):
            found[name] = tensor_array(node, f"{where}: {name}")
            size += found[name].size
            check_numbers(size, where)
    return found


def _entries(node: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    for name, inside in mapping(node).items():
        yield prefix + name, inside
        if depth < MAX_DEPTH and not is_tensor(inside):
            yield from _entries(inside, f"{prefix}{name}.", depth + 1)


def load_safetensors(path: Path) -> tuple[Arrays, Mapping[str, Any]]:
    """The tensors of a safetensors file by name, as float32, and what it states of itself.

    Raises:
        FormatError: damaged, or no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
            if bad := [name for name, tensor in tensors.items() if tensor.is_complex()]:
                raise FormatError(
                    f"{path}: {bad[0]} holds complex numbers, no agent known here does"
                )
            arrays = {name: tensor.float().numpy() for name, tensor in tensors.items()}
            return arrays, stated(file.metadata())
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        line = " ".join(str(error).split())
        raise FormatError(f"{path}: damaged, or no safetensors file ({line})") from None


def stated(told: Any) -> Mapping[str, Any]:
    """What `vrlprobe export` wrote beside the tensors: a run's config, and `frame`."""
    found = mapping(told)
    try:
        config = json.loads(str(found.get("config")))
        frame = int(str(found.get("frame")))
    except (ValueError, RecursionError):
        return {}
    return {**config, "frame": frame} if isinstance(config, dict) and frame >= 0 else {}


def state_dict_checkpoint(
    arrays: Mapping[str, NDArray[Any]],
    where: str,
    architecture: str | None = None,
    image_size: int | None = None,
    activation: str | None = None,
    told: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """The agent that a state dict holds.

    Args:
        arrays: by dotted name, or by 'part/name' as in a run file.
        where: begins every error's message.
        architecture: an installed or registered one; told by the names if None.
        image_size: height and width of the images, where the shapes leave a choice.
        activation: between the layers, where the file does not state it; the usual one if None.
        told: what the file states of itself (`stated`).

    Raises:
        FormatError: its names are those of no agent known here, or its tensors do not fit.
    """
    if not arrays:
        raise FormatError(
            f"{where}: no agent known here: it holds no named tensor; of a module the state "
            "dict is needed: torch.save(module.state_dict(), path)"
        )
    told = told or {}
    image_size = image_size or told.get("image_size")
    activation = told.get("activation", activation)
    if architecture not in (None, *KNOWN):
        own = find_architecture({"architecture": architecture}, where)
        exported = told.get("architecture") == architecture
        return _at(_own(own, arrays, where, exported), told)
    dotted = _unwrapped({name.replace("/", ".", 1): array for name, array in arrays.items()})
    names = find_names(dotted)
    if architecture is None:
        architecture = "nature" if names else "drqv2"
    if architecture == "nature" and names:
        found = nature_checkpoint(
            dotted, names, where,
            image_size=image_size, image_shape=told.get("image_shape"), activation=activation,
        )  # fmt: skip
        return _at(found, told)
    if architecture == "drqv2" and DRQV2_FIRST in dotted:
        return _at(_drqv2(dotted, where, image_size, activation or "relu"), told)
    seen = ", ".join(sorted(arrays)[:3]) + " …"
    raise FormatError(
        f"{where}: no agent known here: it holds {seen}; needed the names of "
        f"{' or '.join(KNOWN)} (docs/import.md), or an architecture of your own"
    )


def _unwrapped(dotted: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """A known agent's tensors out of the dicts and modules that trainers wrap a state dict in.

    As they are where the names are known already, or stay unknown.
    """
    plain = {
        ".".join(part for part in name.split(".") if part not in MODULES): array
        for name, array in dotted.items()
    }
    tried = [dotted, plain]
    for outer in WRAPPERS:
        inside = _under(outer, plain)
        tried += [inside, *(_under(inner, inside) for inner in WRAPPERS)]
    return next((found for found in tried if find_names(found) or DRQV2_FIRST in found), dotted)


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    begin = f"{prefix}."
    return {n.removeprefix(begin): array for n, array in arrays.items() if n.startswith(begin)}


def _at(found: Checkpoint, told: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint at the frame, and of the images, that its file states."""
    if (render := told.get("render")) in ("full", "fast"):
        found = replace(found, render=render)
    repeat = told.get("action_repeat", found.action_repeat)
    if "frame" not in told or not isinstance(repeat, int) or repeat < 1:
        return found
    return replace(found, steps=told["frame"] // repeat, action_repeat=repeat)


def _own(kind: Any, arrays: Mapping[str, NDArray[Any]], where: str, exported: bool) -> Checkpoint:
    """Of a network that `register_agent` made known; whole numbers become floating ones.

    An exported one's names begin with the part, the network's own state dict has none.
    """
    architecture = kind.__name__
    found = {
        name.replace(".", "/", 1) if exported else f"network/{name}": array.astype(np.float32)
        for name, array in arrays.items()
    }
    config = {"architecture": architecture}
    check_fit(config, found, where)
    channels = kind.from_config(config).image_shape[0]
    config["frame_stack"] = channels // 3 if channels % 3 == 0 else channels
    return Checkpoint(f"state dict of {architecture}", config, found)


def _drqv2(
    dotted: Mapping[str, NDArray[Any]], where: str, image_size: int | None, activation: str
) -> Checkpoint:
    found = {
        name.replace(".", "/", 1): array
        for name, array in dotted.items()
        if name.partition(".")[0] in DRQV2_PARTS
    }
    config = {**drqv2_config(found, where, image_size), "activation": activation}
    check_fit(config, found, where)
    return Checkpoint("DrQ-v2 state dict", config, found, action_repeat=ACTION_REPEAT)
