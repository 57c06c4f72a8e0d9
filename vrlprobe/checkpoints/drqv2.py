"""DrQ-v2 agents as their trainers save them: whole objects, pickled.

The reference's `snapshot.pt` is a dict with the agent under 'agent'; A-LIX saves the agent alone.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vrlprobe.agents.drqv2 import PARTS, DrQV2Agent
from vrlprobe.checkpoints.checkpoint import Checkpoint, check_fit, shape_of
from vrlprobe.checkpoints.inert import Inert
from vrlprobe.checkpoints.modules import (
    children,
    class_of,
    difference,
    is_network,
    own_tensors,
    tensors,
)
from vrlprobe.checkpoints.torchfile import mapping, whole_number
from vrlprobe.errors import FormatError

NEEDED = ("encoder", "actor")
OWN_CRITICS = {"act_tok": "its critic takes encoded actions"}
"""Attributes of agents whose critic is another one: TACO's."""
ACTIVATIONS = {"ReLU": "relu", "LeakyReLU": "leaky_relu"}
REGULARISERS = (
    *("RandomShiftsAug", "NoShiftAug", "LocalSignalMixing", "ParameterizedReg"),
    *("NonLearnableParameterizedRegWrapper", "DummyParameterizedRegWrapper"),
)
"""Modules that do nothing outside training, or something that no action shows (A-LIX)."""
NUMBER = r"\s*(\d+\.?\d*(?:e[+-]?\d+)?)\s*"
LINEAR = re.compile(rf"linear\({NUMBER},{NUMBER},{NUMBER}\)")
"""A noise schedule: from, to, over so many agent steps."""
GLOBAL_STEP = "_global_step"
"""Under which the reference keeps its agent steps, beside the agent or its state dicts."""
ACTION_REPEAT = 2
"""Of the reference, in every task."""


def find_agent(root: Any) -> Inert | None:
    """The pickled agent in what a file describes, None where there is none."""
    for node in (root, mapping(root).get("agent")):
        state = mapping(node.state) if isinstance(node, Inert) else {}
        if all(isinstance(state.get(part), Inert) for part in NEEDED):
            return node
    return None


def agent_checkpoint(
    root: Any, agent: Inert, where: str, image_size: int | None = None
) -> Checkpoint:
    """A pickled agent's checkpoint.

    Args:
        root: what the file describes.
        agent: what `find_agent` found in it.
        where: begins every error's message.
        image_size: height and width of the images; the even one that fits if None.

    Raises:
        FormatError: its networks are not those of DrQ-v2; layer and both shapes are named.
    """
    state = mapping(agent.state)
    arrays = _arrays(state, NEEDED, where)
    more = [name for name, node in state.items() if name not in PARTS and is_network(node)]
    notes = [f"left out: {', '.join(ascii(name)[1:-1] for name in more)}"] if more else []
    activation = _activation(state["encoder"])
    config = {**drqv2_config(arrays, where, image_size), "activation": activation}
    check_fit(config, arrays, where)
    if other := _other_module(state, NEEDED, config):
        raise FormatError(f"{where} does not fit the architecture drqv2: {other}")
    critics, why = _critics(state, config, where)
    notes += [f"left out: critic ({why})"] if why else []
    steps = whole_number(mapping(root).get(GLOBAL_STEP))
    return Checkpoint(
        f"DrQ-v2 agent ({agent.path})",
        config,
        arrays | critics,
        steps,
        tuple(notes),
        _noise(state, steps),
        ACTION_REPEAT,
    )


def _critics(
    state: Mapping[str, Any], config: Mapping[str, Any], where: str
) -> tuple[dict[str, NDArray[np.float32]], str | None]:
    """Tensors of the critic and its target; none and why, where an agent's is another one."""
    if why := next((why for name, why in OWN_CRITICS.items() if name in state), None):
        return {}, why
    parts = [part for part in PARTS if part in state and part not in NEEDED]
    try:
        found = _arrays(state, parts, where)
        check_fit(config, found, where)
    except FormatError as error:
        told = str(error).removeprefix(where)
        return {}, told.removeprefix(" does not fit the architecture drqv2").removeprefix(": ")
    why = _other_module(state, parts, config)
    return {} if why else found, why


def _arrays(
    state: Mapping[str, Any], parts: Iterable[str], where: str
) -> dict[str, NDArray[np.float32]]:
    """The tensors of parts by 'part/name'."""
    return {
        f"{part}/{name}": array
        for part in parts
        for name, array in _networks(state[part], part, where).items()
    }


def _noise(state: Mapping[str, Any], steps: int | None) -> tuple[float, float] | None:
    """Standard deviation and clipping of the noise at a step, by the reference's schedule.

    None where the agent does not say, or has a schedule of its own (DrM).
    """
    schedule, clip = state.get("stddev_schedule"), state.get("stddev_clip")
    known = isinstance(schedule, str) and LINEAR.fullmatch(schedule)
    if not known or not isinstance(clip, float) or steps is None:
        return None
    if "stddev_type" in state:
        return None
    first, last, duration = map(float, known.groups())
    share = min(max(steps / duration, 0.0), 1.0) if duration > 0 else 1.0
    return (1 - share) * first + share * last, clip


def drqv2_config(
    arrays: Mapping[str, NDArray[Any]], where: str, image_size: int | None = None
) -> dict[str, Any]:
    """The sizes of DrQ-v2 networks, from the shapes of their parameters by 'part/name'.

    The reference's four convolutions give (image_size - 1) // 2 - 6 pixels, so that two image sizes
    fit any checkpoint; the even one is taken, 84 for the published networks.

    Raises:
        FormatError: a tensor by which they are known is missing, or no image size fits.
    """
    channels, inputs, _, _ = shape_of(arrays, "encoder/convnet.0.weight", 4, where)
    feature_dim, n_features = shape_of(arrays, "actor/trunk.0.weight", 2, where)
    hidden_dim, _ = shape_of(arrays, "actor/policy.0.weight", 2, where)
    action_dim, _ = shape_of(arrays, "actor/policy.4.weight", 2, where)
    side = math.isqrt(n_features // channels)
    begin = f"{where} does not fit the architecture drqv2"
    if inputs % 3:
        raise FormatError(
            f"{begin}: encoder/convnet.0.weight takes {inputs} channels, no stack of colour images"
        )
    if channels * side**2 != n_features:
        raise FormatError(
            f"{begin}: actor/trunk.0.weight is {(feature_dim, n_features)} behind {channels} "
            "channels, which no square image gives; does it see more than images, as skills?"
        )
    return {
        "architecture": "drqv2",
        "image_size": image_size or 2 * side + 14,
        "channels": channels,
        "feature_dim": feature_dim,
        "hidden_dim": hidden_dim,
        "action_dim": action_dim,
        "frame_stack": inputs // 3,
    }


def _networks(module: Any, part: str, where: str) -> dict[str, NDArray[np.float32]]:
    """The tensors of one part under the names that the reference gives them."""
    if part == "encoder":
        return {
            f"{place}.{name}": array
            for place, layer in _layers(module).items()
            for name, array in tensors(layer, where, f"{part}/{place}")
        }
    arrays = dict(tensors(module, where, part))
    return _from_parallel(arrays, part) if "QS.0.weight" in arrays else arrays


def _from_parallel(
    arrays: Mapping[str, NDArray[np.float32]], part: str
) -> dict[str, NDArray[np.float32]]:
    """A-LIX's critic, whose two Q functions lie in one tensor (2, n_in, n_out), as two."""
    found = {name: array for name, array in arrays.items() if not name.startswith("QS.")}
    for name in (name for name in arrays if name not in found):
        if arrays[name].ndim != 3 or len(arrays[name]) != 2:
            raise FormatError(f"{part}/{name} is {arrays[name].shape}, needed two Q functions")
        for which, values in enumerate(arrays[name]):
            both = f"Q{which + 1}.{name.removeprefix('QS.')}"
            turned = values.T if name.endswith("weight") else values.ravel()
            found[both] = np.ascontiguousarray(turned)
    return found


def _layers(encoder: Any) -> dict[str, Any]:
    """An encoder's modules by name; those that only matter in training are not counted."""
    found = {n: m for n, m in children(encoder).items() if class_of(m) not in REGULARISERS}
    convnet = children(found.pop("convnet", None)).values()
    kept = [module for module in convnet if class_of(module) not in REGULARISERS]
    return found | {f"convnet.{place}": module for place, module in enumerate(kept)}


def _modules(module: Any, part: str) -> dict[str, Any]:
    if part == "encoder":
        return _layers(module)
    found = dict(children(module))
    if joint := found.pop("QS", None):
        found |= {"Q1": joint, "Q2": joint}
    return found


def _activation(encoder: Any) -> str:
    """The first one's name in a config; whether the others are like it is looked at later."""
    kinds = map(class_of, _layers(encoder).values())
    return next((ACTIVATIONS[kind] for kind in kinds if kind in ACTIVATIONS), "relu")


def _other_module(
    state: Mapping[str, Any], parts: Iterable[str], config: Mapping[str, Any]
) -> str | None:
    """The first place where parts compute something else than ours with their tensors, in words."""
    with torch.device("meta"):
        own = DrQV2Agent.from_config(config)
    found = (_differs(state[part], own.get_submodule(part), part) for part in parts)
    return next(filter(None, found), None)


def _differs(module: Any, own: nn.Module, part: str) -> str | None:
    needed, inside = dict(own.named_children()), None
    needed.pop("squash", None)  # a function in the reference
    if part == "encoder":
        convnet = needed.pop("convnet")
        needed |= {f"convnet.{name}": layer for name, layer in convnet.named_children()}
        inside = own_tensors(children(module).get("convnet"), convnet, "encoder/convnet")
    other = own_tensors(module, own, part) or inside
    return other or difference(_modules(module, part), needed, f"{part}/")
