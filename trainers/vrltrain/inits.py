"""Trainings that begin with given networks: transplants, or the last checkpoint of any run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import TransplantError
from vrlprobe.runs.reader import open_run
from vrltrain.config.limits import CHOICES
from vrltrain.config.settings import TrainConfig

if TYPE_CHECKING:
    from vrlprobe.agents.drqv2 import DrQV2Agent

FIXED = (
    *("task", "architecture", "image_size", "frame_stack", "action_repeat"),
    *("channels", "feature_dim", "hidden_dim", "activation"),
)
"""Settings that networks bring along and that cannot be others."""


@dataclass(frozen=True)
class Init:
    """Networks to begin with.

    Attributes:
        path: the file they are from.
        config: its settings; `init` and `init_digest` name the networks.
        parameters: by 'part/name'.
        blank: names of those that were freshly initialised.
        provenance: what a run keeps of where its networks are from.
    """

    path: Path
    config: TrainConfig
    parameters: Mapping[str, NDArray[np.float32]]
    blank: frozenset[str]
    provenance: Mapping[str, Any]

    def networks(self, drawn: "DrQV2Agent") -> dict[str, Any]:
        """What a training begins with, blank pieces taken from a freshly drawn agent."""
        own = drawn.named_tensors()
        return {n: own[n] if n in self.blank else array for n, array in self.parameters.items()}


def read_init(path: Path) -> Init:
    """The networks of a transplant, or of a run's last checkpoint.

    Raises:
        FormatError: no run, or one of settings that cannot be trained with.
        TransplantError: a run without a checkpoint, or of another architecture.
    """
    with open_run(path) as run:
        if not len(run.frames):
            raise TransplantError(f"{path} has no checkpoint to begin with")
        if (found := run.config.get("architecture")) != "drqv2":
            raise TransplantError(f"{path} is of architecture {found}, vrltrain trains drqv2")
        frame = int(run.frames[-1])
        made = _mapping(run.provenance.get("transplant"))
        digest, parameters = run.digest(frame), run.parameters(frame)
        settings = dict(run.config)
        if settings.get("render") not in CHOICES["render"]:
            settings.pop("render", None)  # an import that was not played: it is not known
        stem = path.stem.replace("-", "_")  # a hyphen stands between the donors of a transplant
        label = str(made.get("label") or f"{stem}@{frame}")
        return Init(
            path,
            replace(TrainConfig.restored(settings, path), init=label, init_digest=digest),
            parameters,
            _blank_names(_mapping(made.get("pieces")), parameters),
            {"file": path.name, "frame": frame, "checkpoint": digest, **made},
        )


def _mapping(found: Any) -> Mapping[str, Any]:
    """What is none, in the provenance of another program's run, is left out."""
    return found if isinstance(found, Mapping) else {}


def _blank_names(pieces: Mapping[str, Any], names: Mapping[str, Any]) -> frozenset[str]:
    from vrlprobe.agents.drqv2 import DrQV2Agent  # loads torch, for transplants alone

    tables = DrQV2Agent.pieces.values()
    begins = [
        begin
        for table in tables
        for piece, own in table.items()
        if _mapping(pieces.get(piece)).get("donor") == "blank"
        for begin in own
    ]
    return frozenset(name for name in names if name.startswith(tuple(begins)))


def brought(init: Init) -> dict[str, Any]:
    """The settings that the networks bring along, their name among them."""
    return {name: getattr(init.config, name) for name in (*FIXED, "init", "init_digest")}


def check_fit(config: TrainConfig, init: Init) -> None:
    """Refuse settings that the networks do not have; raises TransplantError."""
    for name, its in brought(init).items():
        if (wanted := getattr(config, name)) != its:
            raise TransplantError(
                f"{init.path.name} has {name} {its}, the training was to have {wanted}: "
                "leave that out, or take another init"
            )
