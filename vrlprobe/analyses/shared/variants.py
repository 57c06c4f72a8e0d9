"""Further fits of a probe result: controls, other kinds of probe, other splits of the samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe.analyses.shared.jobs import Recipe, Rows
from vrlprobe.probes import Scores
from vrlprobe.probes.registry import Floats, ProbeSettings
from vrlprobe.results.dataset import BOUNDS, Variables
from vrlprobe.results.file import last_checkpoint
from vrlprobe.stats.bootstrap import mean_interval
from vrlprobe.stats.splits import resampled_interval

EACH = ("run", "frame", "layer", "component")
DIMS = ("control", "probe", "split")
"""Of further fits, whose variables begin with the dimension's name."""
NONLINEAR = "mlp"
"""The probe that is not linear."""

CONTROLLED = ("control", *EACH)
CONTROL_VARIABLES: Variables = {
    "control_test_mse": (CONTROLLED, np.nan, "test_mse of the control"),
    "control_test_r2": (CONTROLLED, np.nan, "test_r2 of the control"),
    "control_sparsity": (CONTROLLED, -1, "sparsity of the control"),
    "selectivity": (CONTROLLED, np.nan, "test_r2 - max(control_test_r2, 0)"),
}
PROBED = ("probe", *EACH)
PROBE_VARIABLES: Variables = {
    "probe_val_mse": (PROBED, np.nan, "val_mse of each kind of probe"),
    "probe_test_mse": (PROBED, np.nan, "test_mse of each kind of probe"),
    "probe_test_r2": (PROBED, np.nan, "test_r2 of each kind of probe"),
    "probe_sparsity": (PROBED, -1, "sparsity of each kind of probe"),
}
GAP: Variables = {
    "nonlinear_gap": (
        EACH, np.nan,
        "max(test_r2, 0) of the mlp - that of the linear probe with the least validation error"
    ),
}  # fmt: skip
SPLIT = ("split", *EACH)
SPLIT_VARIABLES: Variables = {
    "split_test_mse": (SPLIT, np.nan, "test_mse on each split of the episodes"),
    "split_test_r2": (SPLIT, np.nan, "test_r2 on each split of the episodes"),
    "splits_r2": (
        ("run", "frame", "layer", "bound"), np.nan,
        "median test_r2 over components: mean over splits, 95% interval over splits and episodes"
    ),
    "episode_test_mse": (
        (*EACH, "episode"), np.nan, "mean squared error on an episode, over splits that test it"
    ),
    "episode_split": (
        ("run", "split", "episode"), -1,
        "set of an episode: 0 training, 1 validation, 2 test; -1 left out of the test set"
    ),
    "test_share": (("run",), np.nan, "share of test episodes among those that may be tested on"),
}  # fmt: skip


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
    def variables(self) -> Variables:
        """Of the further fits."""
        compared = len(self.kinds) > 1 and NONLINEAR in self.kinds
        tables = {
            "control": CONTROL_VARIABLES,
            "probe": {**PROBE_VARIABLES, **(GAP if compared else {})},
            "split": SPLIT_VARIABLES,
        }
        return {name: row for dim in self.coords for name, row in tables[dim].items()}

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
