"""Every figure from the results that it shows: for notebooks, scripts and `vrlprobe plot`."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import xarray as xr

from vrlprobe.cohort import Class
from vrlprobe.errors import FormatError, SampleError, VrlprobeError
from vrlprobe.figures import atoms as atoms_figure
from vrlprobe.figures import cohort as cohort_figure
from vrlprobe.figures import escape as escape_figure
from vrlprobe.figures import film as film_figure
from vrlprobe.figures import foretell as foretell_figure
from vrlprobe.figures import layers as layers_figure
from vrlprobe.figures import metrics as metrics_figure
from vrlprobe.figures import order as order_figure
from vrlprobe.figures import outlook as outlook_figure
from vrlprobe.figures import probe as probe_figure
from vrlprobe.figures import stitch as stitch_figure
from vrlprobe.figures import transplant as transplant_figure
from vrlprobe.figures.plot import Plot as Plot
from vrlprobe.results import at_frame, check_dataset, check_kind, check_named
from vrlprobe.selection import Names, choose
from vrlprobe.studies.averaging import by_class, ends_by_class, of_class, returns, run_classes
from vrlprobe.studies.escaping import escapes
from vrlprobe.studies.foretelling import best_metrics
from vrlprobe.studies.ordering import order as order_study
from vrlprobe.tasks import reward_components

__all__ = [
    "Plot",
    "atoms",
    "cohort",
    "escape",
    "film",
    "foretell",
    "layers",
    "metrics",
    "order",
    "outlook",
    "plot",
    "probe",
    "stitch",
    "transplant",
]

By = Literal["class", "run"]
"""What has a row or a panel of its own."""
PANELS = 3
"""Components drawn over training where none are named."""
FORETELL_LINES = 4
"""Metrics drawn where none are named: those that tell best, on average over the frames."""


def plot(result: xr.Dataset | Mapping[str, xr.Dataset], **options: Any) -> Plot:
    """The figure that suits a result: Figure 2 for a probe, 3 for transplants, 4 for metrics …

    Args:
        result: what a study returned; cohorts by their names make one figure.
        options: of the function that draws it: `probe`, `layers`, `metrics`, `cohort`,
            `transplant`, `foretell`, `outlook`, `stitch`, `atoms` or `film` of this module.

    Raises:
        FormatError: there is no figure of this.
    """
    if isinstance(result, Mapping) and not isinstance(result, xr.Dataset):
        return cohort(result, **options)
    check_dataset(result)
    kind = str(result.attrs.get("vrlprobe", "unknown"))
    if kind == "probe":
        check_kind(result, kind)
        return (probe if _is_curve(result) else layers)(result, **options)
    if kind == "cohort":
        return (transplant if "group" in result.dims else cohort)(result, **options)
    draw = {
        "metrics": metrics, "foretell": foretell, "outlook": outlook, "stitch": stitch,
        "atoms": atoms, "film": film,
    }.get(kind)  # fmt: skip
    if draw is None:
        raise FormatError(f"there is no figure of a result of {kind}")
    return draw(result, **options)


def probe(
    result: xr.Dataset,
    *,
    components: Names = None,
    by: By | None = None,
    good: float | None = None,
    bad: float | None = None,
) -> Plot:
    """Test error over training, a line a layer (paper, Figure 2).

    Args:
        result: what `vrlprobe.probe` returned, of several frames.
        components: a column each; if None three, those that the task's reward reads, then those
            that a layer has best.
        by: a row a class of agents by their return at the end, with the 95% interval of the mean,
            or a row a run; classes if None, where there are several runs of which they are known.
        good, bad: thresholds of the classes; each run's own profile's if None.

    Raises:
        SampleError: one frame alone, or classes that are not known.
    """
    check_kind(result, "probe")
    _check_by(by)
    if not _is_curve(result):
        raise SampleError(
            "a curve needs several frames, this result has one of each run: probe all frames, or "
            "draw its layers (plotting.layers, `vrlprobe plot layers`)"
        )
    names = _components(result, components, _telling(result))
    drawn = _rows(result, names, by, good, bad)
    return Plot(probe_figure.draw(drawn, names), drawn)


def layers(
    result: xr.Dataset,
    *,
    components: Names = None,
    frame: int | None = None,
    by: By = "run",
    good: float | None = None,
    bad: float | None = None,
) -> Plot:
    """Where each component is: R² by layer and component, with the chosen sparsity.

    Args:
        result: what `vrlprobe.probe` returned.
        components: a row each, all if None.
        frame: of the checkpoint, which every run must have; each run's last if None.
        by: a panel a run, or a class of agents by their return at the end, with the medians over
            its runs.
        good, bad: thresholds of the classes; each run's own profile's if None.

    Raises:
        SampleError: no such frame, or classes that are not known.
    """
    check_kind(result, "probe")
    _check_by(by)
    if by == "class":
        drawn = ends_by_class(result, good, bad, frame)
        _warn_of_ends(result)
    else:
        drawn = result if frame is None else at_frame(result, frame)
    return Plot(layers_figure.draw(drawn, _components(result, components)), drawn)


def metrics(result: xr.Dataset, *, metrics: Names = None, layers: Names = None) -> Plot:
    """Return, rank, correlation, zeros, gradient norm (paper, Figures 4, 8, 9), collapse shaded.

    Args:
        result: what `vrlprobe.studies.metrics` returned; a row a run.
        metrics: its variables, a column each; the paper's if None.
        layers: a line each; mlp1 and mlp2 if None.
    """
    check_kind(result, "metrics")
    drawable = [str(n) for n, v in result.data_vars.items() if v.dtype.kind == "f"]
    columns = choose(metrics, drawable, "metric", metrics_figure.PAPERS)
    there = result["layer"].values.tolist()
    lines = choose(layers, there, "layer", metrics_figure.PAPERS_LAYERS)
    return Plot(metrics_figure.draw(result, columns, lines), result)


def escape(result: xr.Dataset) -> Plot:
    """Which metrics switch when runs come out of collapse, and when (paper, section 5.1).

    Args:
        result: what `vrlprobe.studies.metrics` returned, on one sample set.
    """
    check_kind(result, "metrics")
    drawn = escapes(result).assign_attrs(vrlprobe="escapes")
    return Plot(escape_figure.draw(drawn), drawn)


def cohort(cohorts: xr.Dataset | Mapping[str, xr.Dataset]) -> Plot:
    """Returns of cohorts over training (paper, Figure 5).

    Args:
        cohorts: what `vrlprobe.studies.cohort` returned, by the names of the lines; or one.
    """
    named = {"all runs": cohorts} if isinstance(cohorts, xr.Dataset) else cohorts
    check_named(named)
    for name, result in named.items():
        check_kind(result, "cohort")
        if "group" in result.dims:
            warnings.warn(
                f"{name} is grouped by {result.attrs.get('by')}, all its runs are drawn as one: "
                "plotting.transplant (`vrlprobe plot transplant`) draws the groups",
                UserWarning,
                stacklevel=2,
            )
    drawn = returns(named).assign_attrs(vrlprobe="returns")
    return Plot(cohort_figure.draw(drawn), drawn)


def order(
    result: xr.Dataset,
    *,
    components: Names = None,
    only: Class | None = None,
    good: float | None = None,
    bad: float | None = None,
) -> Plot:
    """Which layer beats which, with its significance over runs (paper, supplement B).

    Args:
        result: what `vrlprobe.probe` returned, of at least two runs; each counts once, at its last
            frame.
        components: averaged over; those of the probe's figure if None.
        only: runs of this class.
        good, bad: thresholds of the classes; each run's own profile's if None.
    """
    check_kind(result, "probe")
    found = result if only is None else of_class(result, only, good, bad)
    if only is not None:
        _warn_of_ends(result)
    names = _components(found, components, _telling(found))
    drawn = order_study(found, names)
    return Plot(order_figure.draw(drawn), drawn)


def transplant(result: xr.Dataset) -> Plot:
    """Who succeeds from which CNN and MLP, and how fast (paper, Figure 3).

    Args:
        result: what `vrlprobe.studies.cohort` with `by="init"` returned.
    """
    check_kind(result, "cohort")
    if "group" not in result.dims:
        raise SampleError(
            "this cohort is not grouped by init: make it so (studies.cohort(runs, by='init'), "
            "`vrlprobe cohort --by init`)"
        )
    return Plot(transplant_figure.draw(result), result)


def foretell(result: xr.Dataset, *, metrics: Names = None) -> Plot:
    """How early a run's end can be told from which metric, and what stopping on it saves.

    Args:
        result: what `vrlprobe.studies.foretell` returned.
        metrics: a line each, beside `any` where the result has it; the best four if None.
    """
    check_kind(result, "foretell")
    there = result["metric"].values.tolist()
    best = best_metrics(result, FORETELL_LINES) if metrics is None else ()
    lines = choose(metrics, there, "metric", best)
    return Plot(foretell_figure.draw(result, lines), result)


def outlook(result: xr.Dataset) -> Plot:
    """How long attempts stay in collapse, and how many frames an escape takes if all are given up.

    Args:
        result: what `vrlprobe.studies.outlook` returned.
    """
    check_kind(result, "outlook")
    return Plot(outlook_figure.draw(result), result)


def stitch(result: xr.Dataset) -> Plot:
    """Every CNN with every MLP of some checkpoints: return, action std, agreement.

    Args:
        result: what `vrlprobe.studies.stitch` returned.
    """
    check_kind(result, "stitch")
    return Plot(stitch_figure.draw(result), result)


def atoms(result: xr.Dataset, *, components: Names = None) -> Plot:
    """Where in the image the activations look that a probe chose.

    Args:
        result: what `vrlprobe.studies.atoms` returned.
        components: a column each, all if None.
    """
    check_kind(result, "atoms")
    drawn = result.sel(component=_components(result, components))
    return Plot(atoms_figure.draw(drawn), drawn)


def film(result: xr.Dataset) -> Plot:
    """Film strips, a row an episode (paper, Figures 6 and 7).

    Args:
        result: what `vrlprobe.studies.film` returned.
    """
    check_kind(result, "film")
    return Plot(film_figure.draw(result), result)


def _check_by(by: str | None) -> None:
    if by not in (None, *get_args(By)):
        raise ValueError(f"rows and panels are by {' or '.join(get_args(By))}, not {by!r}")


def _components(result: xr.Dataset, wanted: Names, default: Sequence[str] = ()) -> list[str]:
    return choose(wanted, result["component"].values.tolist(), "component", default)


def _telling(result: xr.Dataset) -> list[str]:
    """What the task's reward reads, filled up with what a layer has best at the last frame."""
    best = result["test_r2"].isel(frame=-1).max(["run", "layer"]).to_series().dropna()
    read = [n for n in reward_components(str(result.attrs.get("task"))) if n in best.index]
    others = best.drop(read).sort_values(ascending=False, kind="stable")
    told = [*read, *others[others > 0].index]
    return (told or result["component"].values.tolist())[:PANELS]


def _is_curve(result: xr.Dataset) -> bool:
    return bool((result["checkpoint"] != "").sum("frame").max() >= 2)


def _rows(
    found: xr.Dataset,
    components: Sequence[str],
    by: str | None,
    good: float | None,
    bad: float | None,
) -> xr.Dataset:
    """Classes of agents unless told otherwise, where there are several runs of known ones."""
    if by == "run" or (by is None and found.sizes["run"] == 1):
        return found
    asked = by is not None or good is not None or bad is not None
    try:
        run_classes(found, good, bad)
    except VrlprobeError:
        if asked:
            raise
        return found
    try:
        drawn = by_class(found, components, good=good, bad=bad)
    except VrlprobeError as error:
        if asked:
            raise
        warnings.warn(f"{error}; drawn run by run", UserWarning, stacklevel=3)
        return found
    _warn_of_ends(found)
    return drawn


def _warn_of_ends(result: xr.Dataset) -> None:
    """Warn where classes are not by the return at the end, which an older result does not have."""
    if "final_return" not in result:
        known = result["episode_return"].notnull().any("run").values
        warnings.warn(
            "the result does not say what its runs return at their end: the classes are by the "
            f"return at frame {result['frame'].values[known][-1]}, the last one in it",
            UserWarning,
            stacklevel=3,
        )
