"""Which layers of which checkpoints linearly hold which parts of the state."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.activations import (
    PROBED_LAYERS,
    Activations,
    extract_activations,
    known_layers,
    layer_sizes,
)
from vrlprobe.errors import SampleError
from vrlprobe.probes.omp import omp_path
from vrlprobe.samples import SPLITS, SampleSet
from vrlprobe.selection import check_runs, resolve_frames, run_labels, samples_for
from vrlprobe.studies.common import (
    Variables,
    all_frames,
    blank,
    run_attributes,
    sample_attributes,
)

if TYPE_CHECKING:
    from vrlprobe.format.reader import Run

DEFAULT_MAX_ATOMS = 50
GROUP_BYTES = 1 << 30
"""Layers are read together up to this many bytes of activations."""

EACH = ("run", "frame", "layer", "component")
VARIABLES: Variables = {
    "train_mse": (EACH, np.nan, "mean squared error on the training samples"),
    "val_mse": (EACH, np.nan, "mean squared error on the validation samples"),
    "test_mse": (EACH, np.nan, "mean squared error on the test samples"),
    "test_r2": (EACH, np.nan, "1 - test_mse / variance of the test samples"),
    "sparsity": (EACH, -1, "number of atoms, chosen on the validation samples"),
    "at_edge": (EACH, False, "the sparsity is the largest that was tried"),
    "mean_mse": (("run", "component"), np.nan, "test error of the training mean"),
    "n_features": (("run", "layer"), 0, "number of activations"),
    "episode_return": (("run", "frame"), np.nan, "mean return of the checkpoint's rollout"),
    "contributed": (("run",), False, "the run is a source of the samples"),
    "n_test": (("run",), 0, "number of test samples"),
    "checkpoint": (("run", "frame"), "", "SHA-256 of the checkpoint's parameters"),
}

Floats = npt.NDArray[np.float64]
Track = Callable[[Sequence[Any]], Iterable[Any]]
Scores = dict[str, npt.NDArray[Any]]


def probe(
    runs: "Run | Sequence[Run]",
    samples: "SampleSet | Sequence[Run] | None" = None,
    *,
    frames: str | Sequence[int] = "last",
    layers: Sequence[str] | None = None,
    components: Sequence[str] | None = None,
    max_atoms: int = DEFAULT_MAX_ATOMS,
    keep_own: bool = False,
    batch_size: int = 256,
    track: Track = iter,
) -> xr.Dataset:
    """Which layers linearly hold which parts of the state (paper, section 4.1).

    For every layer and component a sparse linear probe is fitted on the training samples, its
    sparsity chosen on the validation samples, its error taken on the test samples.

    Args:
        runs: one open run, or several of one task.
        samples: a sample set, or open runs to make one from; for a lone run without one, its own
            final rollouts serve, with a warning.
        frames: "last", "all", "best" (by return, the earliest of equals), or frames. They must
            be in every run; with "last" and "best" each run has its own.
        layers: names out of the agents' tables; cnn0 to mlp2 if None.
        components: names or aliases of the state's components; all if None.
        max_atoms: the largest sparsity tried.
        keep_own: test a run on episodes of its own too, where it is a source of the set.
        batch_size: observations in one forward pass.
        track: wraps the sequence of work items, for instance to show progress.

    Returns:
        Dims (run, frame, layer, component): `train_mse`, `val_mse`, `test_mse` in the component's
        squared units, `test_r2` (1 - error / variance on the test samples; NaN for a constant),
        `sparsity` (-1 where not computed), `at_edge` (the chosen sparsity is `max_atoms`, and the
        layer has more units: more atoms may do better). Dims (run, component): `mean_mse`, the
        test error of the training mean. Dims (run, layer): `n_features`. Dims (run, frame):
        `episode_return`, `checkpoint` (its digest). Dims (run,): `contributed`, `n_test`. NaN
        where a run lacks a frame.

    Raises:
        SampleError, UnknownLayerError, UnknownFrameError: what was asked for is not there.
    """
    runs = list(runs) if isinstance(runs, Sequence) else [runs]
    samples, keep_own = samples_for(runs, samples, keep_own)
    check_runs(runs, samples)
    wanted = samples.columns(components)
    chosen = [resolve_frames(run, frames) for run in runs]
    names = known_layers(runs[0].agent(chosen[0][0]), PROBED_LAYERS if layers is None else layers)
    labels = run_labels(runs)
    coords: dict[str, Any] = {
        "run": labels,
        "frame": all_frames(chosen),
        "layer": names,
        "component": wanted,
    }
    result = blank(coords, VARIABLES)
    rows = [_Rows(samples, run, wanted, keep_own) for run in runs]
    if len({part.without for part in rows}) > 1:
        warnings.warn(
            "the runs are tested on different episodes, as each one's own are left out: take a set "
            "to which none of them contributed, or keep their own (--keep-own)",
            stacklevel=2,
        )
    prober = _Prober(max_atoms, batch_size, names)
    jobs = [(r, f, name) for r, found in enumerate(chosen) for f in found for name in names]
    for place, frame, name in track(jobs):
        at = {"run": labels[place], "frame": frame, "layer": name}
        for key, value in prober.scores(runs[place], frame, name, rows[place]).items():
            result[key].loc[{dim: at[dim] for dim in result[key].dims if dim in at}] = value
    for place, run in enumerate(runs):
        for frame in chosen[place]:
            result["episode_return"].loc[labels[place], frame] = run.rollout(frame).mean_return
            result["checkpoint"].loc[labels[place], frame] = run.digest(frame)
        result["mean_mse"][place] = rows[place].mean_mse
        result["n_test"][place] = len(rows[place].states["test"])
        result["contributed"][place] = bool(rows[place].own)
    arguments = {"max_atoms": max_atoms, "keep_own": keep_own, "frames": frames}
    return result.assign_attrs(
        run_attributes("probe", runs, arguments) | sample_attributes(samples)
    )


class _Rows:
    """A run's share of a sample set: its observations and states, train, validation, test."""

    def __init__(
        self, samples: SampleSet, run: "Run", components: Sequence[str], keep_own: bool
    ) -> None:
        self.own = samples.contributions(run)
        self.without = () if keep_own else self.own
        self.samples = samples
        self.rows = {
            name: samples.rows(name, self.without if name == "test" else ()) for name in SPLITS
        }
        if not len(self.rows["test"]):
            raise SampleError(
                f"every test episode of the sample set is from {run.path.name} itself: add runs "
                "to the set, or keep them with --keep-own"
            )
        columns = [samples.components.index(name) for name in components]
        self.states = {name: samples.states[rows][:, columns] for name, rows in self.rows.items()}
        self.mean_mse = ((self.states["test"] - self.states["train"].mean(axis=0)) ** 2).mean(
            axis=0
        )

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def observations(self) -> npt.NDArray[np.uint8]:
        """All three sets' observations, one after the other."""
        return self.samples.observations(np.concatenate(list(self.rows.values())))

    def cut(self, values: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Activations of `observations()` by set, without a copy."""
        ends = np.cumsum([len(rows) for rows in self.rows.values()])[:-1]
        return dict(zip(self.rows, np.split(values, ends), strict=True))


class _Prober:
    """Probes one layer of one checkpoint at a time; asked in order, it reads each network once."""

    def __init__(self, max_atoms: int, batch_size: int, layers: Sequence[str]) -> None:
        self.max_atoms, self.batch_size, self.layers = max_atoms, batch_size, layers
        self.inputs: dict[Any, Scores] = {}
        self.at: tuple[Any, int] | None = None
        self.agent: Any = None
        self.sizes: dict[str, int] = {}
        self.ready: Activations = {}

    def scores(self, run: "Run", frame: int, layer: str, rows: _Rows) -> Scores:
        """What `fit_layer` gives, and `n_features`. The raw input's scores are computed once."""
        if self.at != (run, frame):
            self.at, self.agent, self.ready = (run, frame), run.agent(frame), {}
            self.sizes = layer_sizes(self.agent, self.layers)
        key = (type(self.agent), rows.without)
        is_input = not self.agent.layers[layer]
        if is_input and key in self.inputs:
            return self.inputs[key]
        parts = rows.cut(self._activations(layer, rows))
        _check_finite(parts, f"layer {layer} of {run.path.name} at frame {frame}")
        scores = fit_layer(parts, rows.states, self.max_atoms)
        scores["n_features"] = np.asarray(self.sizes[layer])
        if is_input:
            self.inputs[key] = scores
        return scores

    def _activations(self, layer: str, rows: _Rows) -> npt.NDArray[np.float32]:
        """One layer's activations, read together with those after it as far as memory goes."""
        if layer not in self.ready:
            group, room = [layer], GROUP_BYTES // (4 * len(rows)) - self.sizes[layer]
            for name in self.layers[self.layers.index(layer) + 1 :]:
                room -= self.sizes[name]
                if room < 0:
                    break
                group.append(name)
            self.ready = extract_activations(
                self.agent, rows.observations(), group, self.batch_size
            )
        return self.ready.pop(layer)


def fit_layer(
    activations: dict[str, npt.NDArray[np.float32]], states: dict[str, Floats], max_atoms: int
) -> Scores:
    """Probe one layer for every component: errors and sparsity, each (n_components,).

    ``activations`` and ``states`` hold (n_samples, n_features) and (n_samples, n_components) for
    the sets train, val and test.
    """
    heldout = {name: (activations[name], states[name]) for name in ("val", "test")}
    path = omp_path(activations["train"], states["train"], max_atoms, heldout=heldout)
    best = path.best_sparsity("val")
    every = np.arange(len(best))
    scores: Scores = {f"{name}_mse": path.mse[name][every, best] for name in SPLITS}
    variance = states["test"].var(axis=0)
    moves = variance > 1e-24 * np.abs(states["test"]).max(axis=0, initial=0.0) ** 2
    ratio = np.divide(scores["test_mse"], variance, out=np.full(len(best), np.nan), where=moves)
    scores["test_r2"] = 1.0 - ratio
    scores["sparsity"] = best
    scores["at_edge"] = (best == max_atoms) & (activations["train"].shape[1] > max_atoms)
    return scores


def _check_finite(parts: dict[str, npt.NDArray[np.float32]], what: str) -> None:
    if not all(np.isfinite(part).all() for part in parts.values()):
        raise SampleError(f"{what} has NaN or infinite activations, so it cannot be probed")
