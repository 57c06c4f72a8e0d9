"""Pickled torch modules, as the description of a pickle has them: children, tensors, options."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from vrlprobe.checkpoints.inert import Inert
from vrlprobe.checkpoints.torchfile import check_numbers, is_tensor, mapping, tensor_array
from vrlprobe.errors import FormatError

MAX_DEPTH = 8
MAX_MODULES = 1000
OPTIONS: dict[str, tuple[str, ...]] = {
    "Conv2d": ("stride", "padding", "dilation", "groups", "padding_mode"),
    "LayerNorm": ("eps",),
    "LeakyReLU": ("negative_slope",),
}
"""What a module computes beside its tensors, by its class; the shapes of tensors say the rest."""
SAME = {
    "DenseParallel": "Linear",
    "MixedLinear": "Linear",
    "Projection": "Linear",
    "MLP": "Sequential",
}
"""Classes that compute what another does: A-LIX's two linear maps in one tensor, and our own."""


def class_of(module: Any) -> str:
    """The name of a described object's class, without its module's, or of the one it is like."""
    name = module.path.rpartition(".")[2] if isinstance(module, Inert) else type(module).__name__
    return SAME.get(name, name)


def children(module: Any) -> Mapping[str, Any]:
    """A described module's children by name, in its order."""
    state = module.state if isinstance(module, Inert) else None
    found = mapping(mapping(state).get("_modules"))
    return {name: child for name, child in found.items() if child is not None}


def tensors(module: Any, where: str, part: str) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """A described module's parameters by dotted name, in its order.

    Args:
        module: the description.
        where: the file, which begins every error's message.
        part: the module's own name, for the same.
    """
    check_size(module, where)
    size = 0
    for name, node in _parameters(module, where):
        found = tensor_array(node, f"{where}: {part}/{name}")
        size += found.size
        check_numbers(size, where)
        yield name, found


def _parameters(
    module: Any, where: str, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH:
        raise FormatError(f"{where}: modules nested deeper than any agent's")
    state = module.state if isinstance(module, Inert) else None
    for name, node in mapping(mapping(state).get("_parameters")).items():
        if is_tensor(node):
            yield prefix + name, node
    for name, child in children(module).items():
        yield from _parameters(child, where, f"{prefix}{name}.", depth + 1)


def is_network(node: Any) -> bool:
    """Whether a described object is a module with parameters somewhere; optimizers are none."""
    waiting, seen = [node], set()
    while waiting:
        if id(one := waiting.pop()) in seen:
            continue
        seen.add(id(one))
        state = mapping(one.state) if isinstance(one, Inert) else {}
        if "_modules" in state and mapping(state.get("_parameters")):
            return True
        waiting += children(one).values()
    return False


def check_size(module: Any, where: str) -> None:
    """Raise FormatError for more modules than any agent has: a module can be in many others."""
    waiting, count = [module], 0
    while waiting:
        count += 1
        if count > MAX_MODULES:
            raise FormatError(f"{where}: more than {MAX_MODULES} modules, no agent has so many")
        waiting += children(waiting.pop()).values()


def difference(found: Mapping[str, Any], own: Mapping[str, nn.Module], prefix: str) -> str | None:
    """The first place where described modules compute something else than our own, in words.

    Tensors and their shapes are not looked at: `check_fit` does that. What a class's own `forward`
    does with its modules stands in no pickle and cannot be seen.

    Args:
        found: described modules by name.
        own: those they should be.
        prefix: of the names in the answer.
    """
    for name, module in own.items():
        if name not in found:
            return f"it has no {prefix}{name}, needed {class_of(module)}"
    for name, module in found.items():
        if name not in own:
            return f"{prefix}{name} ({class_of(module)}) is no layer of it"
        if inside := _differs(module, own[name], f"{prefix}{name}"):
            return inside
    return None


def _plain(given: Any, wanted: Any) -> Any:
    """An option as torch keeps it: a pair, whether a number, a list or a word was given."""
    if not isinstance(wanted, tuple):
        return given
    if given == "valid":
        return (0, 0)
    if isinstance(given, int):
        return (given, given)
    return tuple(given) if isinstance(given, list) else given


def own_tensors(module: Any, own: nn.Module, name: str) -> str | None:
    """A parameter or buffer that a described module has and ours lacks, in words."""
    state = mapping(module.state) if isinstance(module, Inert) else {}
    known = {*dict(own.named_parameters(recurse=False)), *dict(own.named_buffers(recurse=False))}
    there = [*mapping(state.get("_parameters")), *mapping(state.get("_buffers"))]
    extra = ", ".join(ascii(one)[1:-1][:40] for one in there if one not in known)
    return f"{name} has {extra} of its own" if extra else None


def _differs(module: Any, own: nn.Module, name: str) -> str | None:
    kind, needed = class_of(module), class_of(own)
    if kind != needed:
        return f"{name} is {kind}, needed {needed}"
    state = mapping(module.state)
    if extra := own_tensors(module, own, name):
        return extra
    for option in OPTIONS.get(needed, ()):
        wanted = getattr(own, option)
        if _plain(given := state.get(option, wanted), wanted) != wanted:
            return f"{name} has {option} {ascii(given)[:40]}, needed {wanted}"
    layers = dict(own.named_children())
    if inside := difference(children(module), layers, f"{name}."):
        return inside
    if isinstance(own, nn.Sequential) and list(children(module)) != list(layers):
        return f"the modules of {name} come in another order"
    return None
