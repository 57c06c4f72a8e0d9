"""Sample sets: the observations and states that all compared probes share, split by episode.

A set comes from the final rollouts of well-performing runs (paper, section 4.1). Whole episodes go
to the training, validation or test set: neighbouring images are near copies of each other.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vrlprobe._checks import as_list
from vrlprobe._text import html_table
from vrlprobe.errors import SampleError, did_you_mean
from vrlprobe.runs.provenance import stated_donors

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run

SPLITS = ("train", "val", "test")

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """One run's contribution to a set: the rollout of its last checkpoint."""

    name: str
    """The run file's name without its folder; not part of the set's digest."""
    task: str
    seed: int
    frame: int
    checkpoint: str
    """The checkpoint's digest, by which the run is known again under any name."""
    episode_return: float
    """Mean return of the rollout's episodes."""
    n_episodes: int
    precision: str
    render: str
    run_class: str = ""
    """The class, good, middle or bad, that a mix took the run for; empty in a set of no mix."""

    def record(self) -> dict[str, Any]:
        """The fields as JSON values; without a mix, those of sets of before there were mixes."""
        return {name: value for name, value in asdict(self).items() if name != "run_class" or value}


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Observations with the states they show, each episode in one of three sets.

    Images are kept once and stacked on demand: ``index`` says which make up a sample.
    """

    images: npt.NDArray[np.uint8]
    """(n_images, 3, height, width), unstacked."""
    index: Ints
    """(n_samples, frame_stack): the rows of ``images`` in a sample, oldest first."""
    states: npt.NDArray[np.float64]
    """(n_samples, n_components)."""
    episodes: Ints
    """(n_samples,): the episode each sample is from."""
    split: Ints
    """(n_episodes,): 0, 1 or 2, a position in SPLITS."""
    origin: Ints
    """(n_episodes,): a position in ``sources``."""
    components: tuple[str, ...]
    """Names of the states' columns."""
    aliases: Mapping[str, str]
    """Other name -> component that it equals."""
    sources: tuple[Source, ...]
    seed: int
    """Of the split."""

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.index)

    def __repr__(self) -> str:
        names = ", ".join(source.name for source in self.sources)
        return (
            f"<SampleSet of {self.task}: {len(self)} samples, {len(self.split)} episodes "
            f"from {names}>"
        )

    def _repr_html_(self) -> str:
        shown: dict[str, object] = {f"{name} samples": len(self.rows(name)) for name in SPLITS}
        for source in self.sources:
            shown[source.name] = (
                f"frame {source.frame:,}, return {source.episode_return:.1f}, "
                f"{source.n_episodes} episodes"
            )
        return html_table(f"Sample set of {self.task}", shown)

    @property
    def task(self) -> str:
        """The task all sources share."""
        return self.sources[0].task

    def observations(self, rows: Ints) -> npt.NDArray[np.uint8]:
        """Stacked observations of some samples: uint8 (n, 3 * frame_stack, height, width)."""
        stacks = self.images[self.index[rows]]
        return stacks.reshape(len(rows), -1, *self.images.shape[2:])

    def stacked(self, rows: Ints) -> "Stacked":
        """The same observations, each stacked when it is asked for."""
        return Stacked(self, rows)

    def shuffled_states(self, seed: int = 0) -> npt.NDArray[np.float64]:
        """States (n_samples, n_components) of another episode, at the same share of its length.

        The episodes form a ring in random order and each takes the states of the next, so none
        keeps its own (control task of Hewitt and Liang, 2019, for whole episodes). The time course
        that episodes share stays: R² above a probe's for these states is beyond what the time
        within an episode tells. A set of one episode keeps its states.
        """
        order = np.random.default_rng(seed).permutation(len(self.split))
        rows = [np.flatnonzero(self.episodes == episode) for episode in order]
        states = np.empty_like(self.states)
        for own, other in zip(rows, [*rows[1:], *rows[:1]], strict=True):
            places = np.linspace(0, len(other) - 1, len(own)).round().astype(np.int64)
            states[own] = self.states[other[places]]
        return states

    def rows(self, split: str, without: Collection[int] = ()) -> Ints:
        """Samples in one of SPLITS, those from the sources ``without`` left out.

        Raises:
            ValueError: another split.
        """
        if split not in SPLITS:
            raise ValueError(f"splits are {', '.join(SPLITS)}, not {split!r}")
        wanted = (self.split == SPLITS.index(split)) & ~np.isin(self.origin, list(without))
        return np.flatnonzero(wanted[self.episodes])

    def contributions(self, run: "Run") -> tuple[int, ...]:
        """Which sources the run's networks are from: positions in ``sources``.

        These are its own checkpoints, at whatever frame (a copy lies at another), and those that
        gave parts to a transplant or to what its training began with. Parts were trained on their
        donor's episodes, which so favour a cell with its CNN alone as they favour the donor; a
        warning of them would leave the cells that are a donor whole tested on fewer episodes than
        their neighbours. A donor is known by the checkpoint that was taken: not an earlier one of
        a source's training, and not a donor's own donor.
        """
        made_of = {run.digest(frame) for frame in run.frames.tolist()}
        made_of |= stated_donors(run.provenance)
        return tuple(
            position for position, source in enumerate(self.sources) if source.checkpoint in made_of
        )

    def columns(self, names: str | Iterable[str] | None = None) -> tuple[str, ...]:
        """Components by name or alias, or one, in the set's order; all of them when None.

        Raises:
            SampleError: none, or a name that is neither, with the nearest one there is.
        """
        if names is None:
            return self.components
        wanted = {self._component(name) for name in as_list(names)}
        if not wanted:
            raise SampleError(f"no component is asked for: there are {', '.join(self.components)}")
        return tuple(name for name in self.components if name in wanted)

    def _component(self, name: str) -> str:
        found = self.aliases.get(name, name)
        if found in self.components:
            return found
        guess = did_you_mean(name, [*self.components, *self.aliases], most=3)
        raise SampleError(f"no component {name!r}: {guess}there are {', '.join(self.components)}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, whatever the runs' files are called, in hex."""
        hashed = hashlib.sha256()
        sources = [{k: v for k, v in s.record().items() if k != "name"} for s in self.sources]
        texts = [list(self.components), dict(self.aliases), sources, self.seed]
        hashed.update(json.dumps(texts, sort_keys=True).encode())
        for array in self.arrays().values():
            hashed.update(f"{array.dtype.str}{array.shape}".encode())
            hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays by name, as they are stored and hashed."""
        names = ("images", "index", "states", "episodes", "split", "origin")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, eq=False)
class Stacked:
    """Observations of some samples of a set, stacked on demand: no array of all is made."""

    samples: SampleSet
    which: Ints

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_samples, 3 * frame_stack, height, width)."""
        _, channels, height, width = self.samples.images.shape
        return (len(self.which), channels * self.samples.index.shape[1], height, width)

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
        return self.samples.images.dtype

    def __getitem__(self, part: slice) -> npt.NDArray[np.uint8]:
        """Some of them as an array."""
        return self.samples.observations(self.which[part])
