"""Parts of donors put together to an agent: the CNN of one, the MLP of another (paper, section
4.2)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.analyses.shared.donors import Donor, Place, Pool, Wish, refuse_other_settings
from vrlprobe.errors import TransplantError, did_you_mean
from vrlprobe.runs.architectures import architecture
from vrlprobe.runs.atomic import made_new
from vrlprobe.runs.paths import as_path, check_new
from vrlprobe.runs.reader import Run
from vrlprobe.runs.schema import parameters_digest
from vrlprobe.runs.writer import RunWriter

Places = Place | Sequence[Place]
FOLLOWS = ("cnn", "mlp")
"""Words by which the critic goes with a part."""
SHARED = ("task", "architecture", "image_size", "frame_stack", "action_repeat", "activation")
"""Settings that donors must share beside the shapes of their parameters."""


@dataclass(frozen=True)
class Transplant:
    """An assembled agent: a checkpoint that can be saved as a run file of its own.

    Attributes:
        label: `good-bad` for CNN and MLP of these donors; what differs from the default follows.
        config: the settings of the run that it is like.
        parameters: by 'part/name', bit for bit those of the donors.
        origins: by piece (`cnn1` … `cnn4`, `mlp0` … `mlp2`, `head`, `critic`): where it is from.
    """

    label: str
    config: Mapping[str, Any]
    parameters: Mapping[str, NDArray[np.float32]]
    origins: Mapping[str, Mapping[str, Any]]

    def __repr__(self) -> str:
        origins = {piece: origin["donor"] for piece, origin in self.origins.items()}
        return f"<Transplant {self.label}: {origins}>"

    @property
    def digest(self) -> str:
        """SHA-256 of the parameters, in hexadecimal."""
        return parameters_digest(self.parameters).hex()

    def agent(self) -> Any:
        """The networks."""
        return architecture(self.config, self.label).from_parameters(self.config, self.parameters)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a sealed run file with this one checkpoint, at frame 0.

        Raises:
            FormatError: the path exists, or cannot be written.
        """
        where = as_path(path)
        check_new(where)
        with (
            made_new(where) as temporary,
            RunWriter.create(
                temporary,
                config=self.config,
                parameters=self.parameters,
                n_actions=int(self.config["action_dim"]),
                frame_stack=int(self.config.get("frame_stack", 3)),
                provenance={"transplant": {"label": self.label, "pieces": self.origins}},
            ) as writer,
        ):
            writer.commit(0, self.parameters)


def check_named(what: str, donors: Any, name: str) -> None:
    """Raise TransplantError for donors that are not given by names."""
    if not isinstance(donors, Mapping):
        raise TransplantError(
            f'{what} are donors by name, {{"{name}": "blank"}}, not a {type(donors).__name__}'
        )


class Assembly:
    """Puts cells together: where the critic and single pieces come from, and whose settings."""

    def __init__(
        self, pool: Pool, critic: Place, layers: Mapping[str, Place], like: Run | None = None
    ) -> None:
        self._pool, self._like = pool, like
        self._critic = critic
        self._others = {name: Wish.parse(text) for name, text in layers.items()}
        if whole := sorted(self._others.keys() & {"cnn", "mlp", "critic"}):
            raise TransplantError(
                f"{whole[0]} is no single piece: name its donor by itself (`{whole[0]}`)"
            )
        if critic not in FOLLOWS:
            self._others["critic"] = Wish.parse(critic)
        if lost := [name for name, wish in self._others.items() if wish.word == "self"]:
            raise TransplantError(f"{lost[0]} cannot be from self: name its donor")

    def make(self, cnn: Wish, mlp: Wish, label: str | None = None) -> Transplant:
        """One cell; its label is made of the donors' where none is given."""
        parts, others = self._donors(cnn, mlp)
        found = {**parts, **others}
        like = self._like or _like(found, self._pool)
        blank = self._pool.blank(like)
        found = {name: donor or blank for name, donor in found.items()}
        if self._critic in FOLLOWS:
            found["critic"] = found[self._critic]
        _check_fit(like, found)
        by_piece = _by_piece(like, found)
        name = label or f"{found['cnn'].label}-{found['mlp'].label}"
        name = "-".join([name, *self._extras(found)])
        return Transplant(
            name,
            {**like.config, "seed": self._pool.seed, "init": name},
            {
                tensor: array
                for donor, beginnings in by_piece.values()
                for tensor, array in donor.tensors.items()
                if tensor.startswith(beginnings)
            },
            {piece: donor.origin for piece, (donor, _) in by_piece.items()},
        )

    def _donors(self, cnn: Wish, mlp: Wish) -> tuple[dict[str, Donor | None], dict[str, Any]]:
        """Donors of the two parts and of the others, None for blank ones."""
        if cnn.word == mlp.word == "self":
            raise TransplantError("CNN and MLP cannot both be from self: name a donor")
        whole = cnn if mlp.word == "self" else mlp if cnn.word == "self" else None
        if whole:
            donor = self._find(whole, 0)
            parts = {"cnn": donor, "mlp": donor}
        else:
            self._pool.check_pair(cnn, mlp)
            parts = {"cnn": self._find(cnn, 0), "mlp": self._find(mlp, 1)}
        return parts, {name: self._find(wish, 1) for name, wish in self._others.items()}

    def _find(self, wish: Wish, place: int) -> Donor | None:
        return None if wish.word == "blank" else self._pool.find(wish, place)

    def _extras(self, found: Mapping[str, Donor]) -> list[str]:
        """What a label says beyond the two parts: `critic_blank`, `mlp1_bad`."""
        names = [f"{name}_{found[name].label}" for name in self._others]
        return [f"critic_{self._critic}", *names] if self._critic == "cnn" else names


def _like(donors: Mapping[str, Donor | None], pool: Pool) -> Run:
    """The run whose settings an assembled agent has: the MLP's donor, the CNN's, or any."""
    for name in ("mlp", "cnn", *donors):
        if donor := donors[name]:
            return donor.run
    if not pool.finished:
        raise TransplantError("blank networks need a run whose sizes they have: none is finished")
    return pool.finished[0]


def _by_piece(like: Run, donors: Mapping[str, Donor]) -> dict[str, tuple[Donor, tuple[str, ...]]]:
    """For each piece its donor and the beginnings of its tensors' names."""
    kind = architecture(like.config, str(like.path))
    table = getattr(kind, "pieces", None)
    if not table:
        raise TransplantError(f"{kind.__name__} does not say which pieces can be exchanged")
    pieces = {name: (part, begins) for part, own in table.items() for name, begins in own.items()}
    for name in donors:
        if name not in pieces and name not in table:
            guess = did_you_mean(name, pieces)
            raise TransplantError(f"no piece {name!r}: {guess}there are {', '.join(pieces)}")
    return {
        name: (donors.get(name, donors[part]), begins) for name, (part, begins) in pieces.items()
    }


def _check_fit(like: Run, donors: Mapping[str, Donor]) -> None:
    """Refuse donors of another task, architecture or size, both sides named."""
    for donor in donors.values():
        other = donor.run
        sides = f"{other.path.name} does not fit {like.path.name}"
        refuse_other_settings(like, other, SHARED, sides)
        mine, its = like.layout.parameters, other.layout.parameters
        for name in sorted({*mine, *its}):
            if mine.get(name) != its.get(name):
                raise TransplantError(
                    f"{sides}: {name} is {its.get(name, 'missing')}, "
                    f"there {mine.get(name, 'missing')}"
                )
