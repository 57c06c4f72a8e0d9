"""Whether a layer's tensor is what the modules behind it take, in networks of one's own."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from vrlprobe.agents.hooks import INPUT, tensor_of


def warn_of_functions(agent: Any, observations: Tensor, names: Iterable[str]) -> None:
    """Warn of layers recorded before a function that no module stands for, such as `F.relu`.

    Args:
        agent: an agent whose `layers` are recorded.
        observations: a few; one pass a layer is made.
        names: of the layers.
    """
    for name in names:
        path = agent.layers[name]
        if not path or path.startswith(INPUT):
            continue
        given, before = _taken_after(agent, path, observations, lambda tensor: tensor)
        _, after = _taken_after(agent, path, observations, _disturbed)
        behind = [
            (taker, tensor)
            for (taker, tensor), (_, other) in zip(before, after, strict=False)
            if not torch.equal(tensor, other)
        ]
        if given is None or not behind or any(_holds(tensor, given) for _, tensor in behind):
            continue
        taker = behind[0][0].removeprefix("network.")
        warnings.warn(
            f"layer {name!r} is what {path.removeprefix('network.')!r} gives, but {taker!r} takes "
            f"something else: a function such as F.relu lies between them; {INPUT + taker!r} as "
            "its place in `layers` records what is taken",
            stacklevel=2,
        )


Taken = list[tuple[str, Tensor]]


def _taken_after(
    agent: Any, path: str, observations: Tensor, change: Callable[[Tensor], Tensor]
) -> tuple[Tensor | None, Taken]:
    """A module's output, and what each module that runs after it takes, with the output changed."""
    given: list[Tensor] = []
    taken: Taken = []

    def give(module: nn.Module, inputs: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return output
        given.append(output.clone())
        return change(output)

    def take(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            tensor = tensor_of(inputs, named)
            if given and isinstance(tensor, Tensor):
                taken.append((name, tensor.clone()))

        return hook

    with ExitStack() as stack:
        for name, module in agent.named_modules():
            handle = module.register_forward_pre_hook(take(name), with_kwargs=True)
            stack.callback(handle.remove)
        stack.callback(agent.get_submodule(path).register_forward_hook(give).remove)
        agent(observations)
    return (given[0] if given else None), taken


def _disturbed(tensor: Tensor) -> Tensor:
    """Another tensor, on whichever side of 0 its values lie."""
    return -2 * tensor - 1 if tensor.is_floating_point() else tensor


def _holds(taken: Tensor, given: Tensor) -> bool:
    """Whether a tensor has another's values, reordered or beside others as in `torch.cat`."""
    if taken.numel() == given.numel():
        return torch.equal(taken.flatten().sort()[0], given.flatten().sort()[0])
    if len(taken) != len(given) or taken.numel() < given.numel():
        return False
    whole, part = taken.flatten(1), given.flatten(1)
    width = part.shape[1]
    starts = range(whole.shape[1] - width + 1)
    return any(torch.equal(whole[:, start : start + width], part) for start in starts)
