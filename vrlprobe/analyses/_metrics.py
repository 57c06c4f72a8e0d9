"""How collapsed the layers and actions of checkpoints are."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from vrlprobe import metrics as measure
from vrlprobe._checks import check_at_least
from vrlprobe.agents.activations import (
    BATCH_SIZE,
    OUTPUT,
    extract_activations,
    known_layers,
    probed_layers,
)
from vrlprobe.analyses.shared.defaults import OBSERVATIONS
from vrlprobe.collapse.measurements import checkpoint_phases, measurements
from vrlprobe.errors import SampleError
from vrlprobe.metrics.gradients import gradient_norms, logged_norms
from vrlprobe.metrics.registry import AGENT, LAYERED
from vrlprobe.results.dataset import (
    Track,
    Variables,
    all_frames,
    blank,
    run_attributes,
    sample_attributes,
    shared,
)
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import (
    Frames,
    check_runs,
    resolve_frames,
    run_labels,
    samples_for,
    spaced,
    warn_of_samples,
)

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run

MLP_LAYERS = ("mlp0", "mlp1", "mlp2")
ZEROS = ("dead_units", "zero_fraction")
"""Metrics that mean something only behind a ReLU: tanh and leaky units are never exactly 0."""

VARIABLES: Variables = {
    **{name: (("run", "frame", "layer"), np.nan, text) for name, text in LAYERED.items()},
    **{name: (("run", "frame"), np.nan, text) for name, text in AGENT.items()},
    "stage": (("run", "frame"), "", "collapsed or healthy, by the run's log; empty if not known"),
    "stage_begin": (("run", "frame"), -1, "first checkpoint of that phase, measured or not"),
    "stage_end": (("run", "frame"), -1, "first one after it; -1 where it goes on to the last"),
    "attempt": (("run", "frame"), -1, "training from scratch that the checkpoint belongs to"),
    "checkpoint": (("run", "frame"), "", "SHA-256 of the checkpoint's parameters"),
}


def metrics(
    runs: Runs,
    samples: SampleSet | Runs | Literal["own"] | None = None,
    *,
    frames: Frames = "all",
    layers: str | Sequence[str] | None = None,
    n_samples: int = OBSERVATIONS,
    dormant_threshold: float = measure.DORMANT_DRM,
    batch_size: int = BATCH_SIZE,
    track: Track = iter,
) -> xr.Dataset:
    """How far the layers and actions of checkpoints are collapsed (paper, section 5.1).

    Args:
        runs: one open run, or several of one task.
        samples: a sample set, or well-performing runs to make one from, the same observations for
            every checkpoint. "own": each checkpoint's own rollout instead; a collapsed agent that
            stands still sees one image all the time, so everything looks collapsed then. None: the
            lone run's final rollouts, with a warning.
        frames: "all", "last", "best", or frames.
        layers: names out of the agents' tables; if None those of mlp0 to mlp2 that it has, or all
            of an agent that has none.
        n_samples: the most observations taken, evenly spaced; ranks grow with their number, so it
            is the same for every checkpoint: as many as the poorest has, up to this.
        dormant_threshold: of the dormant ratio, see `vrlprobe.metrics`.
        batch_size: observations in one forward pass.
        track: wraps the sequence of work items, for instance to show progress.

    Returns:
        Dims (run, frame, layer): `numerical_rank`, `effective_rank`, `srank`,
        `correlation_neurons`, `cosine_neurons`, `correlation_samples`, `dead_units`,
        `zero_fraction`, `dormant_ratio`, `grad_norm`. Dims (run, frame): `episode_return`,
        `action_spread`, `saturated_share`, `action_entropy`, `stage` with its begin and end,
        `attempt`, `checkpoint`. NaN where undefined or missing: zeros of a layer that is no ReLU,
        `grad_norm` of a layer that has none. For a checkpoint without critic or stored batch,
        `grad_norm` is the logged one. The attribute `n_samples` is the number of observations.

    Raises:
        SampleError, UnknownLayerError, UnknownFrameError: what was asked for is not there, or a
            run is given twice.
        ValueError: fewer than two samples, whose metrics say nothing, or a batch of none.
    """
    check_at_least(2, n_samples=n_samples)
    check_at_least(1, batch_size=batch_size)
    runs = run_list(runs)
    refuse_twice(runs)
    chosen = [resolve_frames(run, frames) for run in runs]
    names = measured_layers(runs[0].agent(chosen[0][0]), layers)
    if isinstance(samples, str) and samples == "own":
        source: _Shared | _Own = _Own(runs, chosen, n_samples)
    else:
        seen, _, notes = samples_for(runs, samples, keep_own=True)
        check_runs(runs, seen)
        warn_of_samples(runs, seen, notes)
        source = _Shared(seen, n_samples)
    labels = run_labels(runs)
    result = blank({"run": labels, "frame": all_frames(chosen), "layer": names}, VARIABLES)
    for label, run, found in zip(labels, runs, chosen, strict=True):
        _tell_phases(result, label, run, found)
    jobs = [(place, frame) for place, found in enumerate(chosen) for frame in found]
    diverged = []
    for place, frame in track(jobs):
        run = runs[place]
        values = checkpoint_metrics(
            run, frame, source.observations(run, frame), names, dormant_threshold, batch_size
        )
        for name, value in values.items():
            result[name].loc[labels[place], frame] = value
        if np.isnan(values["numerical_rank"]).any():
            diverged.append(f"{labels[place]} at {frame}")
    if diverged:
        warnings.warn(
            f"NaN or infinite activations, so no metrics: {', '.join(diverged)}", stacklevel=2
        )
    arguments = {"frames": frames, "dormant_threshold": dormant_threshold}
    return result.assign_attrs({**source.attributes(runs, arguments), "n_samples": source.count})


def _tell_phases(result: xr.Dataset, label: str, run: "Run", frames: Sequence[int]) -> None:
    """Fill in which phase and attempt of a run its checkpoints belong to."""
    whole = measurements(run)
    rows = [run.row(frame) for frame in frames]
    phases = checkpoint_phases(whole)
    columns = {
        "stage": [phases[row].word for row in rows],
        "stage_begin": [phases[row].begin for row in rows],
        "stage_end": [phases[row].end for row in rows],
        "attempt": whole.attempts[rows],
    }
    for name, values in columns.items():
        result[name].loc[label, frames] = values


def measured_layers(agent: Any, layers: Sequence[str] | None = None) -> tuple[str, ...]:
    """The layers asked for; if None those of the paper's MLP, or all where there is none."""
    own = [name for name in MLP_LAYERS if name in agent.layers]
    return known_layers(agent, (own or probed_layers(agent)) if layers is None else layers)


def checkpoint_metrics(
    run: "Run",
    frame: int,
    observations: npt.NDArray[np.uint8],
    layers: Sequence[str],
    dormant_threshold: float = measure.DORMANT_DRM,
    batch_size: int = BATCH_SIZE,
) -> dict[str, Any]:
    """One checkpoint's metrics by name: (n_layers,) for those of layers, numbers otherwise."""
    agent = run.agent(frame)
    wanted = [*layers, *([OUTPUT] if OUTPUT in agent.layers else [])]
    found = extract_activations(agent, observations, wanted, batch_size)
    norms = gradient_norms(run, frame, agent) or logged_norms(run, frame)
    rows = []
    for layer in layers:
        if np.isfinite(found[layer]).all():
            row = measure.layer_metrics(found[layer], dormant_threshold=dormant_threshold)
        else:
            row = dict.fromkeys(LAYERED, np.nan)
        if not _is_relu(agent, layer):
            row |= dict.fromkeys(ZEROS, np.nan)
        rows.append(row | {"grad_norm": norms.get(layer, np.nan)})
    actions = found.get(OUTPUT)
    return {
        **{name: [row[name] for row in rows] for name in LAYERED},
        **(action_metrics(actions) if actions is not None and np.isfinite(actions).all() else {}),
        "episode_return": run.mean_return(frame),
        "checkpoint": run.digest(frame),
    }


def action_metrics(actions: npt.NDArray[np.float32]) -> dict[str, float]:
    """Metrics of mean actions (n_samples, n_actions), by name."""
    return {
        "action_spread": measure.action_std(actions),
        "saturated_share": measure.saturated_share(actions),
        "action_entropy": measure.action_entropy(actions),
    }


def _is_relu(agent: Any, layer: str) -> bool:
    path = agent.layers[layer]
    return bool(path) and isinstance(dict(agent.named_modules()).get(path), torch.nn.ReLU)


class _Shared:
    """The same observations for every checkpoint, from a sample set."""

    def __init__(self, samples: SampleSet, n_samples: int) -> None:
        self.samples = samples
        self.count = min(n_samples, len(self.samples))
        self._stacked = self.samples.observations(spaced(len(self.samples), self.count))

    def observations(self, run: "Run", frame: int) -> npt.NDArray[np.uint8]:
        return self._stacked

    def attributes(self, runs: "list[Run]", arguments: dict[str, Any]) -> dict[str, Any]:
        return run_attributes("metrics", runs, arguments) | sample_attributes(self.samples)


class _Own:
    """Each checkpoint's own rollout, as many observations of each."""

    def __init__(self, runs: "list[Run]", chosen: list[list[int]], n_samples: int) -> None:
        there = [
            (sum(run.rollout(frame).n_images), run.path.name, frame)
            for run, frames in zip(runs, chosen, strict=True)
            for frame in frames
        ]
        tasks = [run.config.get("task") for run in runs]
        self.task = str(shared(tasks, runs, "task", "a result") or "unknown")
        fewest, name, frame = min(there)
        self.count = min(n_samples, fewest)
        if not self.count:
            raise SampleError(
                f"{name} recorded no images at frame {frame}: give `samples`, a set or "
                "well-performing runs, or choose other `frames`"
            )

    def observations(self, run: "Run", frame: int) -> npt.NDArray[np.uint8]:
        episodes = [episode for episode in run.rollout(frame) if episode.images is not None]
        stack = run.layout.frame_stack
        stacked = np.concatenate([episode.observations(stack) for episode in episodes])
        return stacked[spaced(len(stacked), self.count)]

    def attributes(self, runs: "list[Run]", arguments: dict[str, Any]) -> dict[str, Any]:
        return run_attributes("metrics", runs, arguments) | {"task": self.task, "samples": "own"}
