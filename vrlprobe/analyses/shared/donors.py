"""Donors: the checkpoints that give a transplant its parts, by class, by name, or blank."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from vrlprobe._checks import check_at_least
from vrlprobe.analyses.shared.names import frame_at, parse_at, split_name
from vrlprobe.errors import (
    TransplantError,
    UnknownFrameError,
    VrlprobeError,
    did_you_mean,
)
from vrlprobe.runs.paths import no_such_file
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.runs.settings import number
from vrlprobe.samples.classes import run_class
from vrlprobe.stats.classes import CLASSES, Class

Pair = Literal["same", "different"]
Place = str | os.PathLike[str] | Run
WORDS = (*CLASSES, "blank", "self")


def refuse_other_settings(first: Run, other: Run, keys: Iterable[str], what: str) -> None:
    """Raise TransplantError where the configs of two runs differ in one of some settings.

    Args:
        first, other: the runs.
        keys: names of settings.
        what: the message's begin, which names both.
    """
    for key in keys:
        mine, its = first.config.get(key), other.config.get(key)
        if mine != its:
            raise TransplantError(f"{what}: {key} is {its}, there {mine}")


def path_of(place: Place) -> Path:
    """A run file or a folder of them; of an open run its file."""
    return place.location if isinstance(place, Run) else Path(place)


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    Attributes:
        word: one of `WORDS`, or empty for a run file.
        path: the run file, where it is one.
        at: which of the run's checkpoints: one of `naming.CHECKPOINTS`, or a frame.
    """

    word: str
    path: Path | None
    at: str | int

    @classmethod
    def parse(cls, donor: Place) -> Self:
        """`good`, `bad@collapsed`, `blank`, `self`, `runs/seed3.h5@1090000`.

        Raises:
            TransplantError: neither a word nor a file there is.
            UnknownFrameError: no checkpoint that can be meant.
        """
        name, at = split_name(donor if isinstance(donor, str) else str(path_of(donor)))
        if name in WORDS:
            if at and name not in CLASSES:
                raise TransplantError(f"{name} has no checkpoints: leave out @{at}")
            return cls(name, None, parse_at(at))
        if not os.path.exists(name):
            if os.path.dirname(name) or Path(name).suffix:
                raise TransplantError(no_such_file(Path(name)))
            raise TransplantError(
                f"no donor {name!r}: {did_you_mean(name, WORDS)}needed {', '.join(WORDS)}, or a "
                "run file, with a frame perhaps (seed3.h5@100000)"
            )
        return cls("", Path(name), parse_at(at))


@dataclass(frozen=True)
class Donor:
    """A checkpoint that gives parts, or blank networks of a run's sizes.

    Attributes:
        label: what it is called in a cell's name: `good`, `blank`, `seed3@100000`.
        run: whose checkpoint it is; of blank networks, whose sizes they have.
        frame: of the checkpoint; None for blank networks.
        seed: that blank networks are drawn with.
        why: how the checkpoint was chosen.
    """

    label: str
    run: Run
    frame: int | None
    seed: int
    why: str

    @cached_property
    def tensors(self) -> Mapping[str, NDArray[np.float32]]:
        """Parameters by 'part/name'."""
        if self.frame is not None:
            return self.run.parameters(self.frame)
        named = self.run.blank_agent(self.seed).named_tensors()
        return {name: tensor.numpy() for name, tensor in named.items()}

    @cached_property
    def origin(self) -> dict[str, Any]:
        """Where its parameters are from, as JSON values."""
        if self.frame is None:
            return {"donor": self.label, "seed": self.seed, "why": self.why}
        return {
            "donor": self.label,
            "run": self.run.path.name,
            "training_seed": self.run.config.get("seed"),
            "frame": self.frame,
            "checkpoint": self.run.digest(self.frame),
            "episode_return": _number(self.run.mean_return(self.frame)),
            "why": self.why,
        }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


class Pool:
    """The runs that `good`, `middle` and `bad` donors are drawn from.

    Args:
        runs: a folder, of which the finished runs are taken, or run files.
        stack: keeps what is opened open.
        seed: of the draw: the same seed, the same donors.
        pair: whether CNN and MLP of one class come from one agent or from two, as in the paper.
        good, bad: thresholds of the classes; each run's own profile's if None.
        task: of the runs that are drawn; needed where there are several.
        chosen: run files by class, which count as that class whatever their return.
    """

    def __init__(
        self,
        runs: Place | Sequence[Place],
        stack: ExitStack,
        *,
        seed: int = 0,
        pair: Pair = "different",
        good: float | None = None,
        bad: float | None = None,
        task: str | None = None,
        chosen: Mapping[str, Sequence[Place]] | None = None,
    ) -> None:
        self._runs, self._stack = runs, stack
        check_at_least(0, seed=seed)
        if pair not in get_args(Pair):
            raise ValueError(f"pair is one of {', '.join(get_args(Pair))}, not {pair!r}")
        self.seed, self._pair, self._thresholds = int(seed), pair, (good, bad)
        self._task = task
        self._open: dict[Path, Run] = {}
        self._found: dict[tuple[Wish, int], Donor] = {}
        self._chosen = {
            word: [self.open(path_of(place)) for place in places]
            for word, places in (chosen or {}).items()
            if places
        }
        for word, members in self._chosen.items():
            self._warn_of_strangers(word, members)

    def open(self, path: Path) -> Run:
        """A run, opened once."""
        if path not in self._open:
            self._open[path] = self._stack.enter_context(open_run(path))
        return self._open[path]

    @cached_property
    def finished(self) -> list[Run]:
        """The finished runs at hand, by name; what is no run or not finished is warned of."""
        return self._of_one_task([run for path in self._paths() if (run := self._usable(path))])

    @cached_property
    def _classes(self) -> list[tuple[Run, Class]]:
        """The finished runs with the class of each."""
        return [(run, self._class_of(run)) for run in self.finished]

    def _of_one_task(self, runs: list[Run]) -> list[Run]:
        tasks = sorted({str(run.config.get("task")) for run in runs})
        if self._task is None and len(tasks) > 1:
            raise TransplantError(
                f"the runs to draw from are of {' and '.join(tasks)}: choose one task (`task`)"
            )
        if self._task not in (None, *tasks):
            raise TransplantError(f"no run of {self._task}: there are {', '.join(tasks) or 'none'}")
        return [run for run in runs if self._task in (None, run.config.get("task"))]

    def _paths(self) -> list[Path]:
        if isinstance(self._runs, Run):
            return [path_of(self._runs)]
        if not isinstance(self._runs, str | os.PathLike):
            return [path_of(place) for place in self._runs]
        folder = Path(self._runs)
        if not folder.is_dir():
            raise TransplantError(f"there is no folder {folder} to draw donors from (`runs`)")
        return sorted(folder.glob("*.h5"))

    def _usable(self, path: Path) -> Run | None:
        try:
            run = self.open(path)
        except VrlprobeError as error:
            warnings.warn(f"left out: {error}", UserWarning, stacklevel=4)
            return None
        if "transplant" in run.provenance:  # no training yet
            return None
        if run.finished:
            return run
        warnings.warn(f"left out: {path.name} is not finished", UserWarning, stacklevel=4)
        return None

    def members(self, word: Class) -> list[Run]:
        """The runs of a class, those that were chosen for it if any were.

        Raises:
            TransplantError: there is none; the message lists the runs and their returns.
        """
        if word in self._chosen:
            return self._chosen[word]
        if found := [run for run, its in self._classes if its == word]:
            return found
        listed = ", ".join(
            f"{run.path.stem} {run.returns[-1]:.0f} ({its})" for run, its in self._classes
        )
        raise TransplantError(
            f"no {word} run among the finished ones {self._where()}: {listed or 'there is none'}; "
            f"{self._wanted(word)}"
        )

    def _where(self) -> str:
        """Where donors are looked for."""
        if isinstance(self._runs, str | os.PathLike):
            return f"in {Path(self._runs)} (`runs`)"
        return "that were given"

    def _wanted(self, word: Class) -> str:
        """From which return a run is of a class."""
        ends = {(number(run, "good_return"), number(run, "bad_return")) for run, _ in self._classes}
        known = ends.pop() if len(ends) == 1 else (None, None)
        good, bad = (
            own if given is None else given
            for given, own in zip(self._thresholds, known, strict=True)
        )
        good_end = "its profile's good_return" if good is None else f"{good:g}"
        bad_end = "its profile's bad_return" if bad is None else f"{bad:g}"
        told = {
            "good": f"a return of at least {good_end} is good (`good`)",
            "bad": f"a return of at most {bad_end} is bad (`bad`)",
            "middle": f"middle is a return between {bad_end} and {good_end}",
        }
        return told[word]

    def _class_of(self, run: Run) -> Class:
        return run_class(run, float(run.returns[-1]), *self._thresholds)

    def _warn_of_strangers(self, word: str, members: Sequence[Run]) -> None:
        for run in members:
            if (own := self._class_of(run)) != word:
                returned = float(run.returns[-1])
                text = f"{run.path.name} is taken as {word}; its return, {returned:.0f}, is {own}"
                warnings.warn(text, UserWarning, stacklevel=4)

    def check_pair(self, cnn: Wish, mlp: Wish) -> None:
        """Refuse two agents of a class that has one."""
        word = mlp.word
        if self._pair == "same" or word not in CLASSES or cnn.word != word:
            return
        if len(found := self.members(word)) < 2:
            raise TransplantError(
                f"two {word} runs are needed for the CNN of one and the MLP of another, there is "
                f'{found[0].path.name} alone: add one, or take both of it (`pair="same"`)'
            )

    def draw(self, word: Class, place: int) -> tuple[Run, str]:
        """A run of a class, and how it was chosen.

        Args:
            word: the class.
            place: 0 for the CNN's donor, 1 for the MLP's: another agent where two are wanted.
        """
        found = self.members(word)
        order = np.random.default_rng([self.seed, CLASSES.index(word)]).permutation(len(found))
        at = place % len(found) if self._pair == "different" else 0
        many = f"{len(found)} {word} {'run' if len(found) == 1 else 'runs'}"
        return found[int(order[at])], f"drawn from {many} with seed {self.seed}"

    def blank(self, like: Run) -> Donor:
        """Freshly initialised networks of a run's sizes, drawn once."""
        key = Wish("blank", like.path, "last"), 0
        if key not in self._found:
            why = f"drawn with seed {self.seed}"
            self._found[key] = Donor("blank", like, None, self.seed, why)
        return self._found[key]

    def find(self, wish: Wish, place: int = 0) -> Donor:
        """The donor that a wish means, looked for once; not for `blank` and `self`.

        Raises:
            TransplantError: no such run, or it was never in collapse.
            UnknownFrameError: no checkpoint at the frame, with the nearest there are.
        """
        key = wish, place
        if key not in self._found:
            self._found[key] = self._find(wish, place)
        return self._found[key]

    def _find(self, wish: Wish, place: int) -> Donor:
        if wish.path is not None:
            run, why = self.open(wish.path), "as named"
        else:
            run, why = self.draw(wish.word, place)  # type: ignore[arg-type]
        try:
            frame, which = frame_at(run, wish.at)
        except UnknownFrameError as error:
            raise UnknownFrameError(f"a donor is missing: {error}") from error
        stem = run.path.stem.replace("-", "_")  # a cell's label is its donors' joined by hyphens
        label = wish.word or f"{stem}@{frame}"
        if wish.word and wish.at != "last":
            label = f"{wish.word}@{wish.at}"
        return Donor(label, run, frame, self.seed, f"{why}; {which}")
