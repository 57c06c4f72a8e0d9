"""Further fits of a probe result: controls, other kinds of probe, other splits of the samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe.analyses.shared.jobs import Recipe, Rows
from vrlprobe.probes import Scores
from vrlprobe.probes.registry import Floats, ProbeSettings
from vrlprobe.results.dataset import BOUNDS
from vrlprobe.results.file import last_checkpoint
from vrlprobe.results.schemas.probe import CONTROLLED, EACH
from vrlprobe.stats.bootstrap import mean_interval
from vrlprobe.stats.splits import resampled_interval

DIMS = ("control", "probe", "split")
"""Of further fits, whose variables begin with the dimension's name."""
NONLINEAR = "mlp"
"""The probe that is not linear."""


@dataclass(frozen=True)
class Variants:
    """Which fits are made of each layer, the plain one first."""

    settings: ProbeSettings
    controls: Sequence[str]
    kinds: Sequence[str]
    n_splits: int

    def recipes(self, width: int) -> Iterator[tuple[dict[str, Any], Recipe]]:
        """Each fit's place along `DIMS` and how it is made; ``width``: of the narrowest layer."""
        yield {}, Recipe(self.settings)
        for control in self.controls:
            narrow = width if control == "width" else None
            yield {"control": control}, Recipe(self.settings, control, narrow)
        for kind in self.coords.get("probe", ()):
            yield {"probe": kind}, Recipe(replace(self.settings, probe=kind))
        for split in self.coords.get("split", ()):
            yield {"split": split}, Recipe(self.settings, split=split)

    @property
    def coords(self) -> dict[str, Sequence[Any]]:
        """Labels along `DIMS`, of those that a result has."""
        there = {
            "control": self.controls,
            "probe": self.kinds if len(self.kinds) > 1 else (),
            "split": range(self.n_splits) if self.n_splits > 1 else (),
        }
        return {name: labels for name, labels in there.items() if labels}

    @property
    def given(self) -> list[str]:
        """What is asked for, see `vrlprobe.results.schema.Variable.given`."""
        words = {"control": "controls", "probe": "several kinds", "split": "splits"}
        compared = len(self.kinds) > 1 and NONLINEAR in self.kinds
        return [*(words[dim] for dim in self.coords), *(["mlp and another kind"] * compared)]

    @property
    def arguments(self) -> dict[str, Any]:
        """What a result records of them."""
        several = {"probes": list(self.kinds)} if "probe" in self.coords else {}
        return several | ({"splits": self.n_splits} if "split" in self.coords else {})


def put_scores(result: xr.Dataset, where: dict[str, Any], scores: Scores) -> None:
    """One fit's scores at their place, those of further fits in their variables."""
    prefix = next((f"{dim}_" for dim in DIMS if dim in where), "")
    for name, value in scores.items():
        if (target := f"{prefix}{name}") in result:
            dims = [dim for dim in result[target].dims if dim in where]
            result[target].loc[{dim: where[dim] for dim in dims}] = value


def compare_variants(result: xr.Dataset) -> None:
    """Fill in the differences between fits: `selectivity` and `nonlinear_gap`."""
    if "selectivity" in result:
        difference = result["test_r2"] - result["control_test_r2"].clip(min=0)
        result["selectivity"].values = difference.transpose(*CONTROLLED).values
    if "nonlinear_gap" in result:
        known = result["probe_test_r2"].clip(min=0)
        linear = [name for name in result["probe"].values if name != NONLINEAR]
        errors = result["probe_val_mse"].sel(probe=linear).fillna(np.inf)
        best = known.sel(probe=linear).isel(probe=errors.argmin("probe"))
        gap = known.sel(probe=NONLINEAR, drop=True) - best.drop_vars("probe")
        result["nonlinear_gap"].values = gap.transpose(*EACH).values


def describe_splits(part: xr.Dataset, rows: Sequence[Rows]) -> None:
    """What a run's part of a result says of its splits, put in place.

    Args:
        part: one run's, its scores on every split in place.
        rows: its share of the samples in each split.
    """
    part["test_share"][()] = share = rows[0].test_share
    for split, own in enumerate(rows):
        assigned = own.samples.split.copy()
        assigned[(assigned == 2) & np.isin(own.samples.origin, own.without)] = -1
        part["episode_split"].loc[split] = assigned
    medians = part["split_test_r2"].median("component").transpose("split", "frame", "layer")
    part["splits_r2"].values[...] = _bounds(*resampled_interval(medians.values, share))


def mean_over_splits(errors: Sequence[Floats], rows: Sequence[Rows]) -> Floats:
    """Errors (n_components, n_episodes), of each split on its test episodes, on all episodes.

    NaN for episodes that no split tests.
    """
    n_episodes = len(rows[0].samples.split)
    total, count = np.zeros((len(errors[0]), n_episodes)), np.zeros(n_episodes)
    for values, own in zip(errors, rows, strict=True):
        tested = np.unique(own.test_episodes)
        total[:, tested] += values
        count[tested] += 1
    found: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return found


def over_runs(result: xr.Dataset) -> xr.Dataset:
    """The median test R² of each layer at the runs' last frames, averaged over the runs.

    Args:
        result: what `probe` returns for several splits.

    Returns:
        Dims (layer, bound): `runs`, the mean over runs and splits and its 95% bootstrap interval
        over runs; `splits`, the same mean and its 95% interval over splits and episodes.
    """
    last = [last_checkpoint(result, run) for run in result["run"].values]
    medians = np.stack(
        [one["split_test_r2"].median("component").transpose("split", "layer") for one in last]
    )
    share = float(result["test_share"].max())
    found = {
        "runs": _bounds(*mean_interval(medians.mean(axis=1))),
        "splits": _bounds(*resampled_interval(medians.mean(axis=0), share)),
    }
    coords = {"layer": result["layer"].values, "bound": list(BOUNDS)}
    return xr.Dataset({name: (("layer", "bound"), b) for name, b in found.items()}, coords)


def _bounds(mean: Floats, low: Floats, high: Floats) -> Floats:
    """An R² and its interval (..., bound), which ends at 1."""
    return np.stack([mean, low, np.minimum(high, 1.0)], axis=-1)
