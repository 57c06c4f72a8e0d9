"""Which layer beats which: paired comparisons of the probes' errors over runs."""

import itertools
import warnings

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.results.file import last_checkpoint
from vrlprobe.results.schemas.order import ORDER
from vrlprobe.samples.selection import Names, choose
from vrlprobe.stats.comparison import holm, signed_rank_p

OVERALL, THESE = "all components", "these components"
LEVEL = 0.05
Floats = npt.NDArray[np.float64]


@ORDER.documented
def order(result: xr.Dataset, components: Names = None) -> xr.Dataset:
    """Compare the layers of each run's last frame pair by pair (paper, supplement B).

    A run is one observation: its log ratio of the two layers' test errors. `OVERALL` takes each
    run's mean of that over all components, `THESE` over those asked for, where they are several.
    A component that is constant in a run's test samples is left out for that run.

    Args:
        result: what `probe` returns.
        components: which, the others are left out altogether; all if None, `OVERALL` alone if
            empty.

    Returns:
        The variables below; NaN on the diagonal. `p` is of the exact test. Attributes: `n_runs`,
        `runs_needed`, the fewest with which any pair of so many can be significant.

        {variables}

    Raises:
        FormatError: a component that is not in the result.
        SampleError: fewer than two runs, or a component that is constant.
        UnknownLayerError: fewer than two layers.
    """
    runs, layers = result["run"].values.tolist(), result["layer"].values.tolist()
    if len(runs) < 2:
        raise SampleError(f"an order over runs needs at least two, found {len(runs)}: {runs[0]}")
    if len(layers) < 2:
        raise UnknownLayerError(f"an order needs at least two layers, found {layers[0]}")
    logs = _log_errors(result, runs)
    known = result["component"].values.tolist()
    there = [name for name in known if logs.sel(component=name).notnull().any()]
    asked = there if components is None else components
    names = choose(asked, known, "component") if asked else []
    if still := [name for name in names if name not in there]:
        raise SampleError(f"{still[0]} is constant in the test samples: no layer wins at it")
    tables = {name: logs.sel(component=name) for name in names}
    if components is None or not names:
        tables = {OVERALL: logs.mean("component"), **tables}
    elif len(names) > 1:
        tables = {THESE: logs.sel(component=names).mean("component"), **tables}
    _warn_of_constants(logs.sel(component=names or there))
    values = [table.transpose("run", "layer").values for table in tables.values()]
    found = [_compared(table) for table in values]
    dims = ("component", "layer", "other")
    compared = xr.Dataset(
        {key: (dims, np.stack([part[key] for part in found])) for key in ("wins", "ratio", "p")}
        | {"runs": ("component", [int((~np.isnan(table)).any(axis=1).sum()) for table in values])},
        {"component": list(tables), "layer": layers, "other": layers},
        {
            **result.attrs,
            "vrlprobe": "order",
            "n_runs": len(runs),
            "runs_needed": runs_needed(len(layers)),
        },
    )
    return ORDER.labelled(compared)


def _log_errors(result: xr.Dataset, runs: list[str]) -> xr.DataArray:
    """Log test errors (run, component, layer) at the last frames; NaN of what is constant."""
    ends = [last_checkpoint(result, run)[["test_mse", "test_r2"]] for run in runs]
    last = xr.concat(ends, "run", coords="minimal", compat="override").drop_vars("frame")
    moves = last["test_r2"].notnull().any("layer")
    with np.errstate(divide="ignore"):
        logs = xr.zeros_like(last["test_mse"]) + np.log(last["test_mse"].values)
    found: xr.DataArray = logs.where(moves).transpose("run", "component", "layer")
    return found


def _warn_of_constants(logs: xr.DataArray) -> None:
    """Name the components that are constant in the test samples of some runs."""
    still = logs.isnull().all("layer").sum("run")
    if named := [
        f"{name} in {int(still.sel(component=name))}"
        for name in still["component"].values
        if still.sel(component=name)
    ]:
        warnings.warn(
            f"constant in the test samples of some of {logs.sizes['run']} runs, and left out "
            f"there: {', '.join(named)}",
            stacklevel=3,
        )


def runs_needed(n_layers: int) -> int:
    """Runs from which on a pair of layers can be significant: their signed ranks all agree."""
    pairs = n_layers * (n_layers - 1) // 2
    return next(runs for runs in itertools.count(2) if pairs * 2.0 ** (1 - runs) < LEVEL)


def _compared(logs: Floats) -> dict[str, Floats]:
    """All pairs of layers, from (n_runs, n_layers) log errors: three (n_layers, n_layers).

    Two layers without any error are equal; a run whose errors are unknown is left out.
    """
    logs = logs[~np.isnan(logs).any(axis=1)]
    with np.errstate(invalid="ignore"):
        difference = logs[:, :, None] - logs[:, None, :]
    difference[logs[:, :, None] == logs[:, None, :]] = 0
    wins = (difference < 0).mean(axis=0) + 0.5 * (difference == 0).mean(axis=0)
    p = np.full(difference.shape[1:], np.nan)
    upper = np.triu_indices(len(p), 1)
    pairs = zip(*upper, strict=True)
    p[upper] = holm(np.array([signed_rank_p(difference[:, a, b]) for a, b in pairs]))
    p.T[upper] = p[upper]
    np.fill_diagonal(wins, np.nan)
    with np.errstate(invalid="ignore"):  # errors of 0 on either side: no ratio
        ratio = np.exp(difference.mean(axis=0))
    return {"wins": wins, "ratio": ratio, "p": p}
