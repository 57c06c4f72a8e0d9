"""Which layer beats which: paired comparisons of the probes' errors over runs."""

import itertools

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.results.file import last_checkpoint
from vrlprobe.samples.selection import Names, choose
from vrlprobe.stats.comparison import signed_rank_p

OVERALL = "all components"
LEVEL = 0.05
Floats = npt.NDArray[np.float64]


def order(result: xr.Dataset, components: Names = None) -> xr.Dataset:
    """Compare the layers of each run's last frame pair by pair (paper, supplement B).

    A run is one observation: its log ratio of the two layers' test errors. `OVERALL` takes each
    run's mean of that over the components.

    Args:
        result: what `probe` returns.
        components: which, beside `OVERALL`; all if None.

    Returns:
        Dims (component, layer, other): `wins`, the share of runs in which `layer` has the smaller
        error, ties counted half; `ratio`, the geometric mean over runs of its error divided by
        that of `other`; `p`, two-sided, of the exact test of Wilcoxon's signed ranks,
        corrected for the pairs of a component (Holm); NaN on the diagonal. Attributes: `n_runs`,
        `runs_needed`, the fewest with which any pair of so many can be significant.

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
    moving = result["test_r2"].notnull().any(["run", "frame", "layer"])
    there = result["component"].values[moving.values].tolist()
    known = result["component"].values.tolist()
    asked = there if components is None else components
    names = choose(asked, known, "component") if asked else []
    if still := [name for name in names if name not in there]:
        raise SampleError(f"{still[0]} is constant in the test samples: no layer wins at it")
    last = [last_checkpoint(result, run)["test_mse"].sel(component=there) for run in runs]
    errors = xr.concat(last, "run", coords="minimal", compat="override").drop_vars("frame")
    errors = errors.transpose("run", "component", "layer")
    logs = errors.copy(data=np.log(errors.values))
    overall = logs.mean("component")
    tables = [overall, *(logs.sel(component=name) for name in names)]
    found = [_compared(table.transpose("run", "layer").values) for table in tables]
    dims = ("component", "layer", "other")
    return xr.Dataset(
        {key: (dims, np.stack([part[key] for part in found])) for key in ("wins", "ratio", "p")},
        {"component": [OVERALL, *names], "layer": layers, "other": layers},
        {
            **result.attrs,
            "vrlprobe": "order",
            "n_runs": len(runs),
            "runs_needed": runs_needed(len(layers)),
        },
    )


def runs_needed(n_layers: int) -> int:
    """Runs from which on a pair of layers can be significant: their signed ranks all agree."""
    pairs = n_layers * (n_layers - 1) // 2
    return next(runs for runs in itertools.count(2) if pairs * 2.0 ** (1 - runs) < LEVEL)


def _compared(logs: Floats) -> dict[str, Floats]:
    """All pairs of layers, from (n_runs, n_layers) log errors: three (n_layers, n_layers)."""
    difference = logs[:, :, None] - logs[:, None, :]
    wins = (difference < 0).mean(axis=0) + 0.5 * (difference == 0).mean(axis=0)
    p = np.full(difference.shape[1:], np.nan)
    upper = np.triu_indices(len(p), 1)
    pairs = zip(*upper, strict=True)
    p[upper] = holm(np.array([signed_rank_p(difference[:, a, b]) for a, b in pairs]))
    p.T[upper] = p[upper]
    np.fill_diagonal(wins, np.nan)
    return {"wins": wins, "ratio": np.exp(difference.mean(axis=0)), "p": p}


def holm(p: Floats) -> Floats:
    """p values (n,) corrected for n tests (Holm, 1979), at most 1."""
    ranked = np.argsort(p)
    scaled = p[ranked] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[ranked] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected
