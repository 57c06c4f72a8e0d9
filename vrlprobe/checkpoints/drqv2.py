"""DrQ-v2 agents as their trainers save them: whole objects, pickled.

The reference's `snapshot.pt` is a dict with the agent under 'agent'; A-LIX saves the agent alone.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.agents.drqv2 import PARTS
from vrlprobe.checkpoints.checkpoint import Checkpoint, check_fit, shape_of
from vrlprobe.checkpoints.inert import Inert
from vrlprobe.checkpoints.torchfile import is_tensor, mapping, tensor_array
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
MAX_DEPTH = 8
LINEAR = re.compile(r"linear\(([\d.]+),([\d.]+),([\d.]+)\)")
"""A noise schedule: from, to, over so many agent steps."""
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
    own = [why for name, why in OWN_CRITICS.items() if name in agent.state]
    parts = [part for part in PARTS if part in agent.state and (part in NEEDED or not own)]
    arrays = {
        f"{part}/{name}": array
        for part in parts
        for name, array in _networks(agent.state[part], part, where).items()
    }
    others = [name for name, node in agent.state.items() if name not in PARTS and _is_network(node)]
    notes = [f"left out: {', '.join(others)}"] if others else []
    notes += [f"left out: critic ({why})" for why in own]
    activation = _activation(agent.state, where)
    config = {**drqv2_config(arrays, where, image_size), "activation": activation}
    check_fit(config, arrays, where)
    steps = mapping(root).get("_global_step")
    return Checkpoint(
        f"DrQ-v2 agent ({agent.path})",
        config,
        arrays,
        steps if isinstance(steps, int) and steps >= 0 else None,
        tuple(notes),
        _noise(agent.state, steps),
        ACTION_REPEAT,
    )


def _noise(state: Mapping[str, Any], steps: Any) -> tuple[float, float] | None:
    """Standard deviation and clipping of the noise at a step, by the reference's schedule.

    None where the agent does not say, or has a schedule of its own (DrM).
    """
    schedule, clip = state.get("stddev_schedule"), state.get("stddev_clip")
    known = isinstance(schedule, str) and LINEAR.fullmatch(schedule)
    if not known or not isinstance(clip, float) or not isinstance(steps, int):
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
    if inputs % 3 or channels * side**2 != n_features:
        raise FormatError(
            f"{where} does not fit the architecture drqv2: actor/trunk.0.weight is "
            f"{(feature_dim, n_features)} behind {channels} channels, which no square image gives, "
            f"or encoder/convnet.0.weight {(channels, inputs)} takes no stack of colour images"
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
        convnet = _children(module).get("convnet")
        layers = [
            child
            for child in _children(convnet).values()
            if isinstance(child, Inert) and child.path.rpartition(".")[2] not in REGULARISERS
        ]
        return {
            f"convnet.{place}.{name}": array
            for place, child in enumerate(layers)
            for name, array in _tensors(child, where)
        }
    arrays = dict(_tensors(module, where))
    return _from_parallel(arrays) if "QS.0.weight" in arrays else arrays


def _from_parallel(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """A-LIX's critic, whose two Q functions lie in one tensor (2, n_in, n_out), as two."""
    found = {name: array for name, array in arrays.items() if not name.startswith("QS.")}
    for name in arrays.keys() - found.keys():
        for which, values in enumerate(arrays[name]):
            both = f"Q{which + 1}.{name.removeprefix('QS.')}"
            turned = values.T if name.endswith("weight") else values.ravel()
            found[both] = np.ascontiguousarray(turned)
    return found


def _tensors(
    module: Any, where: str, prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """A pickled module's parameters by dotted name, in its order."""
    if depth > MAX_DEPTH:
        raise FormatError(f"{where}: modules nested deeper than any agent's")
    state = module.state if isinstance(module, Inert) else None
    for name, node in mapping(mapping(state).get("_parameters")).items():
        if is_tensor(node):
            yield prefix + name, tensor_array(node, f"{where}: {prefix}{name}")
    for name, child in _children(module).items():
        yield from _tensors(child, where, f"{prefix}{name}.", depth + 1)


def _children(module: Any) -> Mapping[str, Any]:
    state = module.state if isinstance(module, Inert) else None
    return mapping(mapping(state).get("_modules"))


def _is_network(node: Any) -> bool:
    """Whether an attribute is a module with parameters somewhere; optimizers are none."""
    state = mapping(node.state) if isinstance(node, Inert) else {}
    return "_modules" in state and bool(
        mapping(state.get("_parameters")) or any(map(_is_network, _children(node).values()))
    )


def _activation(parts: Mapping[str, Any], where: str) -> str:
    """The activation between the layers, as a config names it; raises FormatError for several."""
    modules = [
        *_children(_children(parts["encoder"]).get("convnet")).values(),
        *_children(_children(parts["actor"]).get("policy")).values(),
    ]
    named = {m.path.rpartition(".")[2] for m in modules if isinstance(m, Inert)}
    found = named - {"Conv2d", "Linear", *REGULARISERS}
    if len(found) != 1 or not found <= ACTIVATIONS.keys():
        raise FormatError(
            f"{where} does not fit the architecture drqv2: it has {', '.join(sorted(found))} "
            f"between its layers, needed one of {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[found.pop()]
