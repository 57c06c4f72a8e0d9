"""The work of a probe study: which fits it needs, in jobs that each fit a processor core.

A job is one network and those of its layers whose activations fit into memory together; a network
with large layers makes several, and each reads the images again. Fits that do not depend on the
checkpoint, those of the raw input and of the blank network, are made once.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from torch import Tensor

from vrlprobe.agents.activations import extract_activations, feature_major_activations
from vrlprobe.analyses.shared.cache import Parts, part_key, sources_digest
from vrlprobe.analyses.shared.fits import fit_layer, fit_narrowed
from vrlprobe.errors import SampleError
from vrlprobe.probes import Scores
from vrlprobe.probes.arrays import refuse_not_finite
from vrlprobe.probes.registry import Floats, ProbeSettings
from vrlprobe.results.file import package_versions
from vrlprobe.runs.architectures import register, registered
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.runs.schema import parameters_digest
from vrlprobe.samples.sample_set import SPLITS, SampleSet, Stacked

COMPUTED_BY = (
    *("_checks", "device", "agents", "probes", "samples/sample_set"),
    *("analyses/shared/fits", "analyses/shared/jobs"),
)
"""The modules whose code makes a fit's numbers out of a network and samples."""
GROUP_BYTES = 600 << 20
"""Layers are read together up to this many bytes of activations."""


class Rows:
    """A run's share of a sample set: its observations and states, train, validation, test.

    Args:
        samples, run, components: the set, the run, and the state's components.
        keep_own: test it on its own episodes, too.
        others: sources whose episodes stay out beside its own, as those of runs compared with it.
        own: `samples.contributions(run)`, where it is known.

    Raises:
        SampleError: no test episode is left.
    """

    def __init__(
        self,
        samples: SampleSet,
        run: Run,
        components: Sequence[str],
        keep_own: bool,
        others: Iterable[int] = (),
        own: tuple[int, ...] | None = None,
    ) -> None:
        self.own = samples.contributions(run) if own is None else own
        self.without = () if keep_own else tuple(sorted({*self.own, *others}))
        self.samples, self.components = samples, tuple(components)
        self.rows = {
            name: samples.rows(name, self.without if name == "test" else ()) for name in SPLITS
        }
        if not len(self.rows["test"]):
            raise SampleError(
                f"every test episode of the sample set is from {run.path.name} itself, or from a "
                "donor of its: add runs to the set, or keep them (`keep_own=True`)"
            )

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def observations(self) -> Stacked:
        """All three sets' observations, one after the other."""
        return self.samples.stacked(np.concatenate(list(self.rows.values())))

    @property
    def test_episodes(self) -> npt.NDArray[np.int64]:
        """The episode of each test sample."""
        return self.samples.episodes[self.rows["test"]]

    @property
    def test_share(self) -> float:
        """Share of test episodes among those that may be tested on, whichever set they are in."""
        allowed = ~np.isin(self.samples.origin, self.without)
        return len(np.unique(self.test_episodes)) / int(allowed.sum())

    def states(self, shuffled: bool = False) -> dict[str, Floats]:
        """The components by set, or those of other episodes at the same time."""
        every = self.samples.shuffled_states() if shuffled else self.samples.states
        columns = [self.samples.components.index(name) for name in self.components]
        return {name: every[rows][:, columns] for name, rows in self.rows.items()}

    def cut(self, values: Tensor) -> dict[str, Tensor]:
        """Activations (n_features, n_samples) of `observations()` as (n_samples, n_features)."""
        lengths = [len(rows) for rows in self.rows.values()]
        return dict(zip(self.rows, torch.split(values.T, lengths), strict=True))


def common_sources(samples: SampleSet, contributions: Iterable[Iterable[int]]) -> list[int]:
    """The sources of any of the runs, where test episodes of others are left; else none.

    Without them all runs are tested on the same episodes, of which none has an advantage.
    """
    found = sorted({source for own in contributions for source in own})
    return found if len(samples.rows("test", found)) else []


@dataclass(frozen=True)
class Network:
    """A checkpoint's networks, or a run's blank ones; another process opens the run itself."""

    path: Path
    frame: int | None
    """None for blank networks."""
    run: Run | None = None
    seed: int | None = None
    """What blank networks are drawn with; the run's own seed if None."""

    def agent(self) -> Any:
        """The networks."""
        with nullcontext(self.run) if self.run else open_run(self.path) as run:
            if self.frame is not None:
                return run.agent(self.frame)
            return run.blank_agent(_seed(run) if self.seed is None else self.seed)

    def __reduce__(self) -> tuple[Any, tuple[Path, int | None, int | None, str, Any]]:
        name = str(self.run.config.get("architecture")) if self.run else ""
        return _network, (self.path, self.frame, self.seed, name, registered(name))

    def __str__(self) -> str:
        which = "untrained" if self.frame is None else f"at frame {self.frame}"
        return f"{self.path.name} {which}"


def _seed(run: Run) -> int:
    """What its networks were drawn from, so that many runs' blank ones are as many draws."""
    seed = run.config.get("seed")
    return seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0


def _network(path: Path, frame: int | None, seed: int | None, name: str, own: Any) -> Network:
    """A network in another process, which may not know the architecture yet."""
    if own is not None:
        register(name, own)
    return Network(path, frame, seed=seed)


@dataclass(frozen=True)
class Recipe:
    """How a layer is probed."""

    settings: ProbeSettings
    control: str | None = None
    """A name out of CONTROLS, or None."""
    width: int | None = None
    """Units of the control `width`."""
    split: int = 0
    """Which of the splits of the samples."""

    def scores(self, activations: dict[str, Tensor], rows: Rows) -> Scores:
        """Those of a layer's activations, (n_samples, n_features) by set."""
        states = rows.states(self.control == "shuffled")
        if self.width is not None:
            return fit_narrowed(activations, states, self.settings, self.width)
        return fit_layer(activations, states, self.settings, rows.test_episodes)


@dataclass(frozen=True)
class Fit:
    """One layer of one network to be probed, and the key its scores are known by."""

    key: str
    network: Network
    layer: str
    recipe: Recipe
    rows: Rows


class Planner:
    """Names every fit of a run by a key, and packs those that are missing into jobs.

    A key says what the network computes, not only its parameters: what the run's blank network
    makes of one image of noise, so that another activation, another module under a layer's name or
    another preparation of the pixels is another fit.

    Args:
        run: the run.
        rows: its share of the samples, in each of their splits.
    """

    def __init__(self, run: Run, rows: Sequence[Rows]) -> None:
        self.run, self.rows = run, rows
        agent = run.blank_agent()
        noise = np.random.default_rng(0).integers(0, 256, (1, *agent.image_shape), np.uint8)
        found = extract_activations(agent, noise)
        self.inputs = {name for name, path in agent.layers.items() if not path}
        self.sizes = {name: values.shape[1] for name, values in found.items()}
        self._computed = {name: sha256(values.data).hexdigest() for name, values in found.items()}
        self._code = sources_digest(COMPUTED_BY)
        self._blank: str | None = None

    def fit(self, frame: int, layer: str, recipe: Recipe) -> Fit:
        """The fit of a layer at a checkpoint, or its baseline."""
        blank = recipe.control == "blank"
        network = Network(self.run.location, None if blank else frame, self.run)
        rows = self.rows[recipe.split]
        made_from = {
            "network": self._identity(network, layer),
            "computes": self._computed[layer],
            "layer": layer,
            "samples": rows.samples.digest,
            "without": rows.without,
            "components": rows.components,
            "shuffled": recipe.control == "shuffled",
            "width": recipe.width,
            "settings": vars(recipe.settings),
            "code": self._code,
            "versions": package_versions(),
        }
        return Fit(part_key(made_from), network, layer, recipe, rows)

    def _identity(self, network: Network, layer: str) -> str:
        if layer in self.inputs:
            return "input"
        if network.frame is not None:
            return self.run.digest(network.frame)
        if self._blank is None:
            tensors = network.agent().state_dict()
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            self._blank = parameters_digest(arrays).hex()
        return self._blank

    def jobs(self, fits: Iterable[Fit]) -> Iterator["Job"]:
        """The fits, the layers of a network on one split together as far as memory goes."""
        apart: dict[tuple[int | None, int], dict[str, list[Fit]]] = {}
        for fit in fits:
            layers = apart.setdefault((fit.network.frame, fit.recipe.split), {})
            layers.setdefault(fit.layer, []).append(fit)
        for layers in apart.values():
            group: list[Fit] = []
            room = GROUP_BYTES
            for layer in sorted(layers, key=list(self.sizes).index):
                size = 4 * len(layers[layer][0].rows) * self.sizes[layer]
                if group and size > room:
                    yield Job.of(group)
                    group, room = [], GROUP_BYTES
                group += layers[layer]
                room -= size
            yield Job.of(group)


@dataclass(frozen=True)
class Job:
    """Fits of one network on one split that are made together; other processes can take it."""

    network: Network
    rows: Rows
    wanted: dict[str, list[tuple[str, Recipe]]]
    """Layer -> key and recipe of each of its fits."""

    @classmethod
    def of(cls, fits: Sequence[Fit]) -> "Job":
        """A job of fits that share their network and rows."""
        wanted: dict[str, list[tuple[str, Recipe]]] = {}
        for fit in fits:
            wanted.setdefault(fit.layer, []).append((fit.key, fit.recipe))
        return cls(fits[0].network, fits[0].rows, wanted)

    def done(self) -> Iterator[tuple[str, Scores]]:
        """Every fit's key and scores.

        Raises:
            SampleError: the observations do not fit the agent, or it has diverged.
        """
        observations = self.rows.observations()
        device = next(iter(self.wanted.values()))[0][1].settings.device
        agent = self.network.agent().to(device)
        found = feature_major_activations(agent, observations, list(self.wanted))
        for layer, fits in self.wanted.items():
            values = found.pop(layer)
            refuse_diverged(layer, str(self.network), values)
            parts = self.rows.cut(values)
            for key, recipe in fits:
                scores = recipe.scores(parts, self.rows)
                yield key, {**scores, "n_features": np.asarray(len(values))}


def refuse_diverged(layer: str, network: str, values: Tensor) -> None:
    """Raise SampleError for activations (n_features, n_samples) that are not finite."""
    try:
        refuse_not_finite("it", values)
    except ValueError:
        raise SampleError(
            f"layer {layer} of {network} has NaN or infinite activations, so it cannot be probed"
        ) from None


class Work(Protocol):
    """Work that can be sent to another process; it yields the key and scores of each part."""

    def done(self) -> Iterator[tuple[str, Scores]]: ...


def run_jobs(jobs: Sequence[Work], n_jobs: int, parts: Parts) -> Iterator[str]:
    """The key of every part as it is made, on so many processor cores; its scores are in `parts`.

    -1 is all cores, as for scikit-learn.

    Each core has a process with one thread: more threads in one are slower, and a result depends
    on their number in its last digits.
    """
    n_jobs = min(effective_n_jobs(n_jobs), len(jobs))
    if n_jobs < 2:
        for job in jobs:
            for key, scores in job.done():
                parts[key] = scores
                yield key
        return
    with parallel_config(backend="loky", inner_max_num_threads=1):
        workers = Parallel(n_jobs, return_as="generator_unordered", batch_size=1)
        for found in workers(delayed(_in_worker)(job, parts) for job in jobs):
            parts.remember(found)
            yield from found


def _in_worker(job: Work, parts: Parts) -> dict[str, Scores]:
    """The job's scores, each kept on disk at once: an interrupt then loses one fit at most."""
    found = {}
    for key, scores in job.done():
        parts[key] = found[key] = scores
    return found
