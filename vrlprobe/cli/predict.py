"""`vrlprobe predict`: does the probe's error before a training predict how it ends?"""

from pathlib import Path

import click
import xarray as xr

from vrlprobe._text import aligned
from vrlprobe.analyses._predict import MEAN
from vrlprobe.analyses._predict import predict as study
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    class_options,
    threshold_option,
    write_result,
)
from vrlprobe.cli.inputs import results
from vrlprobe.errors import FormatError
from vrlprobe.report.summary import median_text
from vrlprobe.runs.output import result_kind

WORDS = {
    "success": "with success",
    "return": "with return",
    "gain": "with gain",
    "threshold_frames": "with frames to threshold",
    "area_under_curve": "with return over training",
}
"""The measures as the table calls them."""
CAUTION = (
    "p is of one layer, not corrected for their number; p and interval take inits as\n"
    "independent, and cells of a grid that share a CNN or an MLP are not"
)


@click.command()
@click.argument("probed", type=FILE)
@click.argument("runs", nargs=-1, required=True, type=FILE)
@class_options
@click.option(
    "--component", default=MEAN, show_default=True, help="Component of the state, or the mean."
)
@threshold_option
@click.option(
    "--seed", default=0, show_default=True, help="Random seed of bootstrap and permutations."
)
@click.option("-o", "--output", type=FILE, help="Result file (NetCDF).")
def predict(
    probed: Path,
    runs: tuple[Path, ...],
    good: float | None,
    bad: float | None,
    component: str,
    threshold: float | None,
    seed: int,
    output: Path | None,
) -> None:
    """Correlate the probe error of inits before training with the success of RUNS after it.

    PROBED is the result of `vrlprobe probe` on the inits; RUNS are the run files or records of
    the trainings from them.

    \b
    vrlprobe grid -o grid/
    vrlprobe probe grid/*.h5 --samples set.h5 -o grid.probe.nc
    vrltrain sweep grid/*.h5 --seeds 0-19
    vrlprobe predict grid.probe.nc grid-runs/*.h5
    """
    errors = results([probed], "probe")[str(probed)]
    if output:
        check_writable(output, result_kind("predict"))
    with Session() as session:
        found = study(
            errors, session.logged(runs), good=good, bad=bad, threshold=threshold, seed=seed
        )
    if component not in found["component"].values:
        there = ", ".join(found["component"].values.tolist())
        raise FormatError(f"no component {component!r} in the result: there are {there}")
    if output:
        write_result(found, output)
        click.echo(f"wrote {output}", err=True)
    click.echo(describe(found, component))


def describe(found: xr.Dataset, component: str) -> str:
    """A row an init with its errors and outcome, then a row a layer with the correlations."""
    part = found.sel(component=component)
    layers = part["layer"].values.tolist()
    inits = [
        {
            "init": label,
            **{
                layer: f"{float(part['error'].sel(init=label, layer=layer)):.2f}"
                for layer in layers
            },
            "runs": str(int(part["runs"].sel(init=label))),
            "good": f"{float(part['outcome'].sel(init=label, measure='success')):.0%}",
            "return": f"{float(part['outcome'].sel(init=label, measure='return')):.0f}",
            "gain": _number(part["outcome"].sel(init=label, measure="gain"), "+.0f"),
            "over training": _number(
                part["outcome"].sel(init=label, measure="area_under_curve"), ".0f"
            ),
            "median frames to threshold": median_text(
                part["median_frames"].sel(init=label).values.tolist()
            ),
        }
        for label in part["init"].values.tolist()
    ]
    rows = [
        {"layer": layer, **{text: _correlation(part, layer, name) for name, text in WORDS.items()}}
        for layer in layers
    ]
    head = (
        f"error: share of the variance that the probe misses before the training, {component};\n"
        "gain: final return minus that at frame 0"
    )
    parts = aligned(inits), head, f"rank correlation over inits\n{aligned(rows)}", CAUTION
    return "\n\n".join(parts)


def _number(value: xr.DataArray, form: str) -> str:
    return f"{float(value):{form}}" if value.notnull() else "?"


def _correlation(part: xr.Dataset, layer: str, measure: str) -> str:
    at = {"layer": layer, "measure": measure}
    value, low, high = part["correlation"].sel(at).values
    if value != value:
        unknown = part["outcome"].sel(measure=measure).isnull().any()
        return "unknown" if unknown else "none: all are equal"
    p = float(part["p"].sel(at))
    interval = f"95% {low:+.2f} to {high:+.2f}, " if low == low else ""
    return f"{value:+.2f} ({interval}p {p:.3f})"
