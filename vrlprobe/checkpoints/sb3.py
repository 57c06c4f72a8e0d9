"""Zip files of Stable-Baselines3: the policy's state dict, and what stands beside it in plain JSON.

The entry `data` holds pickled objects as texts. They are never unpickled; only numbers, lists and
class names that stand beside them are looked at.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vrlprobe.checkpoints.archive import Archive
from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.nature import find_names, nature_checkpoint
from vrlprobe.checkpoints.statedict import state_dict
from vrlprobe.checkpoints.torchfile import load_torch, whole_number
from vrlprobe.errors import FormatError

POLICY = "policy.pth"
NATURE = "torch_layers.NatureCNN"
LARGEST = 10_000
"""Pixels of an image's side, or its channels."""
ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh"}


def sb3_checkpoint(archive: Archive, image_size: int | None = None) -> Checkpoint:
    """The agent in a zip file of Stable-Baselines3, trained with CnnPolicy.

    Args:
        archive: with the entry `policy.pth`.
        image_size: height and width of the images, where neither the file nor the shapes say.

    Raises:
        FormatError: another policy, a features extractor that is not NatureCNN, or damage.
        UnsafeFileError: `policy.pth` asks for more than tensors.
    """
    where = archive.where
    arrays = state_dict(load_torch(io.BytesIO(archive.read(POLICY)), where), where)
    told = _told(archive)
    options = (told or {}).get("policy_kwargs")
    options = options if isinstance(options, dict) else {}
    if str(options.get("normalize_images", True)) == "False":
        raise FormatError(f"{where}: trained without dividing pixels by 255; such are not read")
    extractor = _class_name(options.get("features_extractor_class", NATURE))
    if not extractor.endswith(NATURE):
        raise FormatError(f"{where}: {_own_extractor(extractor[:120])}")
    if (names := find_names(arrays)) is None:
        raise FormatError(f"{where}: {_why_not(arrays)}")
    if names.output == "mean" and options.get("squash_output") is True:
        names = replace(names, output="mu")  # gSDE's actions go through a tanh
    made = nature_checkpoint(
        arrays,
        names,
        where,
        image_size=image_size,
        image_shape=_image_shape(told or {}),
        activation=_activation(options, where) if names.hidden else None,
    )
    unread = "its settings (`data`) cannot be read: image size, activation and steps are guessed"
    return replace(
        made,
        steps=whole_number((told or {}).get("num_timesteps")),
        notes=() if told is not None else (unread,),
    )


def _told(archive: Archive) -> Mapping[str, Any] | None:
    """The plain part of `data`; None where there is none, or it is not JSON."""
    try:
        found = json.loads(archive.read("data")) if "data" in archive.names else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _image_shape(told: Mapping[str, Any]) -> list[int] | None:
    space = told.get("observation_space")
    shape = (space.get("_shape") or space.get("shape")) if isinstance(space, dict) else None
    if isinstance(shape, list) and len(shape) == 3 and all(map(_is_size, shape)):
        return shape
    return None


def _is_size(number: Any) -> bool:
    whole = isinstance(number, int) and not isinstance(number, bool)
    return whole and 0 < number <= LARGEST


def _activation(options: Mapping[str, Any], where: str) -> str | None:
    if "activation_fn" not in options:
        return None
    name = _class_name(options["activation_fn"]).rpartition(".")[2]
    if name not in ACTIVATIONS:
        raise FormatError(f"{where}: activation {name}, needed one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _class_name(told: Any) -> str:
    """`module.Name` of a class that stands in the JSON as `<class 'module.Name'>`."""
    return ascii(str(told))[1:-1].removeprefix("<class '").removesuffix("'>")


def _why_not(arrays: Mapping[str, Any]) -> str:
    extractors = [name for name in arrays if "features_extractor." in name]
    if not arrays:
        return "its policy has no parameters"
    if not extractors:
        return "its policy is no CnnPolicy: it does not see images"
    if any(".cnn.0.weight" in name for name in extractors):
        return (
            "a CnnPolicy of an algorithm or with an option that is not read here; read are DQN, "
            "PPO, A2C, SAC, TD3 and DDPG with NatureCNN, without use_sde in SAC"
        )
    return _own_extractor(extractors[0])


def _own_extractor(name: str) -> str:
    return (
        f"a features extractor of its own ({name}); read is NatureCNN. Rebuild the module "
        "and probe it as your own network (docs/own-network.md)"
    )
