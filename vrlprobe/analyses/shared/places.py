"""Checkpoints by the names that a command takes: `seed3.h5@20000`, `@all`, `good`, `blank`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from vrlprobe.analyses.shared.donors import WORDS, Donor, Place, Pool, Wish, path_of
from vrlprobe.analyses.shared.names import split_name
from vrlprobe.errors import TransplantError, UnknownFrameError
from vrlprobe.runs.reader import Run
from vrlprobe.samples.selection import Frames, resolve_frames, run_labels

Places = Place | Sequence[Place]


def named_donors(places: Places, frames: Frames, pool: Pool) -> list[tuple[str, Donor]]:
    """Every checkpoint that the places mean, with a label of its own.

    Parameters
    ----------
    places : str or Run or list
        See `vrlprobe.analyses.stitch`.
    frames : str or int or list of int
        Of runs that are given without a checkpoint.
    pool : Pool
        Opens the runs and draws those of a class.

    Raises
    ------
    TransplantError
        No run says how large blank parts are, or a place means no checkpoint.
    """
    alone = isinstance(places, str | os.PathLike | Run)
    each: list[Place] = [places] if alone else list(places)  # type: ignore[arg-type, list-item]
    wishes = [wish for place in each for wish in _wishes(place, frames, pool)]
    found = list(_found(wishes, pool))
    return list(zip(_labels(wishes, found), found, strict=True))


def _wishes(place: Place, frames: Frames, pool: Pool) -> Iterator[Wish]:
    """Every checkpoint that one argument means."""
    name, at = split_name(place if isinstance(place, str) else str(path_of(place)))
    several = at == "all" or "," in at
    wish = Wish.parse(name if several and name not in WORDS else place)
    if wish.word == "self":
        raise TransplantError("self means the other part's donor: name a checkpoint, or blank")
    if wish.path is None or (at and not several):
        yield wish
        return
    run = pool.open(wish.path)
    wanted = [_number(each) for each in at.split(",")] if "," in at else at or frames
    for frame in resolve_frames(run, wanted):
        yield replace(wish, at=frame)


def _number(text: str) -> int:
    try:
        return int(text.replace("_", ""))
    except ValueError:
        raise UnknownFrameError(
            f"several checkpoints are frames, RUN@0,20000, or RUN@all, not {text!r}"
        ) from None


def _found(wishes: Sequence[Wish], pool: Pool) -> Iterator[Donor]:
    """The donors meant; a class that is named again is another run's."""
    like = next((pool.find(wish).run for wish in wishes if wish.word != "blank"), None)
    for place, wish in enumerate(wishes):
        if wish.word != "blank":
            mentions = sum(each.word == wish.word for each in wishes[:place])
            yield pool.find(wish, mentions if wish.word else 0)
        elif like is None:
            raise TransplantError("blank parts need a run whose sizes they have: give one")
        else:
            yield pool.blank(like)


def _labels(wishes: Sequence[Wish], donors: Sequence[Donor]) -> list[str]:
    """`seed3@100000` for a run's checkpoint, `good` for a class, numbered where there are more."""
    files = list({d.run.location: d.run for d in donors}.values())
    names = dict(zip((run.location for run in files), run_labels(files), strict=True))
    plain = [
        f"{names[donor.run.location]}@{donor.frame}" if wish.path else donor.label
        for wish, donor in zip(wishes, donors, strict=True)
    ]
    return [
        f"{label}#{plain[:place].count(label) + 1}" if plain.count(label) > 1 else label
        for place, label in enumerate(plain)
    ]
