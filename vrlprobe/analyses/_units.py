"""Where in the image the activations lie that a probe chose."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.agents.activations import feature_major_activations, known_layers
from vrlprobe.agents.receptive import ReceptiveFields, receptive_fields
from vrlprobe.analyses.shared.fits import r_squared
from vrlprobe.analyses.shared.jobs import Rows, refuse_diverged
from vrlprobe.errors import UnknownLayerError
from vrlprobe.probes import DEFAULT_MAX_ATOMS
from vrlprobe.probes.registry import ProbeSettings, Sets, sparse_path
from vrlprobe.results.dataset import run_attributes, sample_attributes
from vrlprobe.results.schemas.units import UNITS
from vrlprobe.runs.collection import Runs, one_run
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import (
    check_runs,
    resolve_frame,
    run_labels,
    samples_for,
    warn_of_samples,
)

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


@UNITS.documented
def units(
    run: "Run",
    samples: SampleSet | Runs | None = None,
    *,
    frame: str | int = "last",
    layers: str | Sequence[str] | None = None,
    components: str | Sequence[str] | None = None,
    max_atoms: int = DEFAULT_MAX_ATOMS,
    min_active: int | None = None,
    keep_own: bool = False,
) -> xr.Dataset:
    """The activations of convolutional layers that a sparse probe chooses, and what they see.

    Args:
        run, samples: as for `probe`.
        frame: of the checkpoint; "last" or "best" too.
        layers: convolutional ones; if None the last of those called cnn1, cnn2 …
        components: names or aliases of the state's components; all if None.
        max_atoms, min_active, keep_own: as for `probe`.

    Returns:
        The variables below.

        {variables}

    Raises:
        SampleError, UnknownLayerError, UnknownFrameError: what was asked for is not there.
    """
    samples, keep_own, notes = samples_for([one_run(run)], samples, keep_own)
    check_runs([run], samples)
    at = resolve_frame(run, frame)
    agent, settings = run.agent(at), ProbeSettings("omp", max_atoms, min_active)
    names = known_layers(agent, _last_convolution(run, agent) if layers is None else layers)
    fields = {name: receptive_fields(agent, name) for name in names}
    rows = Rows(samples, run, samples.columns(components), keep_own)
    warn_of_samples([run], samples, notes)
    states = rows.states()
    found = feature_major_activations(agent, rows.observations(), names)
    height, width = agent.image_shape[1:]
    coords: dict[str, Sequence[Any]] = {
        "layer": names,
        "component": rows.components,
        "atom": range(1, max_atoms + 1),
        "edge": ["top", "left", "bottom", "right"],
        "y": range(height),
        "x": range(width),
    }
    result = UNITS.blank(coords)
    for name in names:
        values = found.pop(name)
        refuse_diverged(name, f"{run.path.name} at frame {at}", values)
        parts = rows.cut(values)
        sets = {split: (parts[split], states[split]) for split in parts}
        _fill(result.sel(layer=name), sets, settings, fields[name])
    picture = samples.observations(rows.rows["test"][len(rows.rows["test"]) // 2 :][:1])
    result["image"] = (("y", "x", "colour"), picture[0, -3:].transpose(1, 2, 0))
    attributes = {"frame": at, "checkpoint": run.digest(at), "run": run_labels([run])[0]}
    return UNITS.labelled(result).assign_attrs(
        run_attributes("atoms", [run], {**vars(settings), "keep_own": keep_own, "frame": at})
        | sample_attributes(samples)
        | attributes
    )


def _last_convolution(run: "Run", agent: Any) -> str:
    named: list[str] = [name for name in agent.layers if name.startswith("cnn")]
    if not named:
        raise UnknownLayerError(
            f"{run.path.name} has no layer called cnn1, cnn2 …: name its convolutional ones "
            f"(`layers`), there are {', '.join(agent.layers)}"
        )
    return named[-1]


def _fill(part: xr.Dataset, sets: Sets, settings: ProbeSettings, fields: ReceptiveFields) -> None:
    """Probe one layer for every component, and put what it chose into its part of the result."""
    path = sparse_path(sets, settings)
    best = path.best_sparsity("val")
    part["sparsity"][:] = best
    states, held_out = (np.asarray(sets[name][1], np.float64) for name in ("train", "test"))
    part["test_r2"][:] = r_squared(path.mse["test"][np.arange(len(best)), best], held_out)
    scale = path.atom_norm / np.sqrt(len(states))
    weights = abs(path.coefficients(best)[0]) * scale
    deviation = states.std(axis=0)
    for place, count in enumerate(best.tolist()):
        share = weights[place, :count] / (deviation[place] or 1.0)
        _place(part.isel(component=place), path.support[place, :count], share, fields)


def _place(
    part: xr.Dataset,
    units: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    fields: ReceptiveFields,
) -> None:
    """One component's atoms, put in place in its part of the result."""
    boxes = fields.boxes(units)
    part["unit"][: len(units)] = units
    part["channel"][: len(units)] = fields.channels(units)
    part["weight"][: len(units)] = weights
    part["box"][: len(units)] = boxes
    area = fields.size[0] * fields.size[1]
    field = part["field"].values
    for (top, left, bottom, right), weight in zip(np.maximum(boxes, 0), weights, strict=True):
        field[top:bottom, left:right] += weight / area
