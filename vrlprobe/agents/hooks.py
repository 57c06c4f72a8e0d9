"""Layers as the modules of an agent give or take them: read, or changed, in a forward pass."""

from collections.abc import Callable
from typing import Any

from torch import nn

INPUT = "in:"
"""Before a submodule's name in a table of layers: the tensor that it takes."""


def tensor_of(inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """What a module is called with first, by place or by name; None if nothing."""
    return next(iter([*inputs, *named.values()]), None)


def hook_layer(agent: Any, name: str, use: Callable[[Any], Any]) -> Any:
    """Hand a layer to `use` in each forward pass, and put in its place what `use` returns.

    Args:
        agent: an agent with a table `layers`.
        name: of one of its layers, the output or, after `in:`, the input of a module; the network's
            input where the place is empty.
        use: takes the layer; gives another tensor, or None to leave it.

    Returns:
        The hook's handle, to remove it.
    """
    place = agent.layers[name]
    if place and not place.startswith(INPUT):
        module: nn.Module = agent.get_submodule(place)
        return module.register_forward_hook(lambda _, __, output: use(output))
    taker: nn.Module = agent.get_submodule(place.removeprefix(INPUT)) if place else agent.encoder

    def take(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        new = use(tensor_of(inputs, named))
        if new is None:
            return None
        if inputs:
            return (new, *inputs[1:]), named
        return inputs, {**named, next(iter(named)): new}

    return taker.register_forward_pre_hook(take, with_kwargs=True)
