"""The figure that suits a result."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from vrlprobe import figures
from vrlprobe.errors import FormatError
from vrlprobe.figures._choices import is_curve
from vrlprobe.figures._kinds import FIGURES
from vrlprobe.figures._result import Plot
from vrlprobe.results.file import check_dataset, check_kind


def plot(result: xr.Dataset | Mapping[str, xr.Dataset], **options: Any) -> Plot:
    """The figure that suits a result: Figure 2 for a probe, 3 for transplants, 4 for metrics …

    Args:
        result: what an analysis returned; cohorts by their names make one figure.
        options: of the function that draws it, a figure of `vrlprobe.figures`.

    Raises:
        FormatError: there is no figure of this.
    """
    if isinstance(result, Mapping) and not isinstance(result, xr.Dataset):
        return figures.cohort(result, **options)
    check_dataset(result)
    drawn: Plot = getattr(figures, _name(result))(result, **options)
    return drawn


def _name(result: xr.Dataset) -> str:
    """The figure that suits a result, by name."""
    kind = str(result.attrs.get("vrlprobe", "unknown"))
    if kind == "probe":
        check_kind(result, kind)
        return "probe" if is_curve(result) else "layers"
    if kind == "cohort" and "group" in result.dims:
        return "transplant"
    if name := next((name for name, figure in FIGURES.items() if figure.suits == kind), ""):
        return name
    raise FormatError(f"there is no figure of a result of {kind}")
