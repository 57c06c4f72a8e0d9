"""Networks with a NatureCNN, by the names that Stable-Baselines3 and CleanRL give their parts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.agents.nature import OUTPUTS, conv_side
from vrlprobe.checkpoints.checkpoint import Checkpoint, check_fit, shape_of
from vrlprobe.errors import FormatError

Arrays = Mapping[str, NDArray[np.float32]]
COMMON_SIZES = (84, 64, 96, 128)
"""Image sizes tried before any other: several give the same number of features."""


@dataclass(frozen=True)
class Names:
    """Which of a state dict's modules are which of a `NatureAgent`'s."""

    kind: str
    convolutions: tuple[str, str, str]
    linear: str
    hidden: tuple[str, ...]
    head: str
    output: str
    activation: str = "relu"


def nature_checkpoint(
    arrays: Arrays,
    names: Names,
    where: str,
    *,
    image_size: int | None = None,
    image_shape: Sequence[int] | None = None,
    activation: str | None = None,
) -> Checkpoint:
    """The checkpoint that a state dict's tensors make under these names.

    Args:
        arrays: the state dict.
        names: which of them are the agent's.
        where: begins every error's message.
        image_size: height and width of the images, where the shapes leave a choice.
        image_shape: (channels, height, width) where the file states them.
        activation: behind the hidden layers, where the file states it.

    Raises:
        FormatError: a tensor is missing or does not fit; its name and both shapes are given.
    """
    ours = {
        **{f"encoder/cnn.{2 * n}": name for n, name in enumerate(names.convolutions)},
        "encoder/linear.0": names.linear,
        **{f"actor/mlp.{2 * n}": name for n, name in enumerate(names.hidden)},
        f"actor/{names.output}": names.head,
    }
    found = {
        f"{own}.{kind}": arrays[f"{theirs}.{kind}"]
        for own, theirs in ours.items()
        for kind in ("weight", "bias")
        if f"{theirs}.{kind}" in arrays
    }
    config = _config(found, names, where, image_size, image_shape)
    config["activation"] = activation or names.activation
    check_fit(config, found, where)
    return Checkpoint(names.kind, config, found)


def _config(
    found: Arrays,
    names: Names,
    where: str,
    image_size: int | None,
    image_shape: Sequence[int] | None,
) -> dict[str, Any]:
    widths = [shape_of(found, f"encoder/cnn.{2 * n}.weight", 4, where)[0] for n in range(3)]
    channels = shape_of(found, "encoder/cnn.0.weight", 4, where)[1]
    feature_dim, n_features = shape_of(found, "encoder/linear.0.weight", 2, where)
    hidden = [
        shape_of(found, f"actor/mlp.{2 * n}.weight", 2, where)[0] for n in range(len(names.hidden))
    ]
    if image_size or image_shape is None:
        size = image_size or _image_size(n_features, widths[-1], where)
        image_shape = (channels, size, size)
    stack = channels // 3 if channels % 3 == 0 else channels
    return {
        "architecture": "nature",
        "image_shape": [int(n) for n in image_shape],
        "frame_stack": stack,
        "widths": widths,
        "feature_dim": feature_dim,
        "hidden": hidden,
        "action_dim": shape_of(found, f"actor/{names.output}.weight", 2, where)[0],
        "output": names.output,
    }


def _image_size(n_features: int, width: int, where: str) -> int:
    """A size of square images that gives so many features: 84 for the published network's."""
    side = math.isqrt(n_features // width)
    if not side or width * side**2 != n_features:
        raise FormatError(
            f"{where} does not fit the architecture nature: encoder/linear.0 takes {n_features} "
            f"features behind {width} channels, which no square image gives"
        )
    return next((size for size in COMMON_SIZES if conv_side(size) == side), 8 * side + 28)


def find_names(arrays: Arrays) -> Names | None:
    """Whose state dict it is; None where it is nobody's known here."""
    tops = {name.partition(".")[0] for name in arrays}
    for find, modules in FINDERS.items():
        if tops <= set(modules) and (names := find(arrays)):
            return names
    return None


def _dqn(arrays: Arrays) -> Names | None:
    *hidden, head = _chain(arrays, "q_net.q_net") or [""]
    extractor = "q_net.features_extractor"
    if not head or not _is_nature(arrays, extractor):
        return None
    return _sb3("DQN", extractor, hidden, head, "q")


def _sac_or_td3(arrays: Arrays) -> Names | None:
    extractor = "actor.features_extractor"
    if not _is_nature(arrays, extractor):
        return None
    if "actor.mu.weight" in arrays:
        return _sb3("SAC", extractor, _chain(arrays, "actor.latent_pi"), "actor.mu", "mu")
    *hidden, head = _chain(arrays, "actor.mu") or [""]
    if not head or _chain(arrays, "actor.latent_pi"):  # the latter: SAC with use_sde
        return None
    return _sb3("TD3 or DDPG", extractor, hidden, head, "mu")


def _actor_critic(arrays: Arrays) -> Names | None:
    for extractor in ("pi_features_extractor", "features_extractor"):
        if _is_nature(arrays, extractor) and "action_net.weight" in arrays:
            output = "mean" if "log_std" in arrays else "logits"
            hidden = _chain(arrays, "mlp_extractor.policy_net")
            if _chain(arrays, "mlp_extractor.shared_net"):  # of old releases, before the others
                hidden = [*_chain(arrays, "mlp_extractor.shared_net"), *hidden]
            return _sb3("PPO or A2C", extractor, hidden, "action_net", output, "tanh")
    return None


def _cleanrl(arrays: Arrays) -> Names | None:
    layers = _chain(arrays, "network")
    convolutions = ("network.0", "network.2", "network.4")
    if layers[:4] != [*convolutions, "network.7"]:
        return None
    if layers[4:] == ["network.9"]:
        return Names("CleanRL DQN", convolutions, "network.7", (), "network.9", "q")
    if "actor.weight" in arrays:
        return Names("CleanRL PPO", convolutions, "network.7", (), "actor", "logits")
    return None


def _own(arrays: Arrays) -> Names | None:
    output = next((name for name in OUTPUTS if f"actor.{name}.weight" in arrays), None)
    if output is None or "encoder.cnn.0.weight" not in arrays:
        return None
    convolutions = ("encoder.cnn.0", "encoder.cnn.2", "encoder.cnn.4")
    hidden = tuple(_chain(arrays, "actor.mlp"))
    return Names("state dict", convolutions, "encoder.linear.0", hidden, f"actor.{output}", output)


def _sb3(
    algorithm: str,
    extractor: str,
    hidden: Sequence[str],
    head: str,
    output: str,
    activation: str = "relu",
) -> Names:
    cnn = f"{extractor}.cnn"
    convolutions = (f"{cnn}.0", f"{cnn}.2", f"{cnn}.4")
    kind = f"Stable-Baselines3 {algorithm}"
    return Names(
        kind, convolutions, f"{extractor}.linear.0", tuple(hidden), head, output, activation
    )


def _is_nature(arrays: Arrays, extractor: str) -> bool:
    """Whether an extractor has the modules of NatureCNN and no others."""
    own = {name.rpartition(".")[0] for name in arrays if name.startswith(f"{extractor}.")}
    return own == {f"{extractor}.{name}" for name in ("cnn.0", "cnn.2", "cnn.4", "linear.0")}


def _chain(arrays: Arrays, prefix: str) -> list[str]:
    """The modules of a Sequential that have weights, in order."""
    numbers = [
        int(number)
        for name in arrays
        if name.startswith(f"{prefix}.") and name.endswith(".weight")
        if (number := name[len(prefix) + 1 : -len(".weight")]).isdecimal()
    ]
    return [f"{prefix}.{number}" for number in sorted(numbers)]


FINDERS: dict[Callable[[Arrays], Names | None], tuple[str, ...]] = {
    _dqn: ("q_net", "q_net_target"),
    _sac_or_td3: ("actor", "actor_target", "critic", "critic_target"),
    _actor_critic: (
        *("features_extractor", "pi_features_extractor", "vf_features_extractor"),
        *("mlp_extractor", "action_net", "value_net", "log_std"),
    ),
    _cleanrl: ("network", "actor", "critic"),
    _own: ("encoder", "actor"),
}
"""What a state dict may hold at its top; more makes another network of it (an LSTM)."""
