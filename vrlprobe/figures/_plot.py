"""The figure that suits a result."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from vrlprobe.errors import FormatError
from vrlprobe.figures._ablate import ablate
from vrlprobe.figures._choices import is_curve
from vrlprobe.figures._cohort import cohort
from vrlprobe.figures._contrast import contrast
from vrlprobe.figures._film import film
from vrlprobe.figures._forecast import forecast
from vrlprobe.figures._layers import layers
from vrlprobe.figures._metrics import metrics
from vrlprobe.figures._patch import patch
from vrlprobe.figures._probe import probe
from vrlprobe.figures._result import Plot
from vrlprobe.figures._similarity import similarity
from vrlprobe.figures._stitch import stitch
from vrlprobe.figures._survival import survival
from vrlprobe.figures._transplant import transplant
from vrlprobe.figures._units import units
from vrlprobe.results.file import check_dataset, check_kind


def plot(result: xr.Dataset | Mapping[str, xr.Dataset], **options: Any) -> Plot:
    """The figure that suits a result: Figure 2 for a probe, 3 for transplants, 4 for metrics …

    Args:
        result: what an analysis returned; cohorts by their names make one figure.
        options: of the function that draws it: `probe`, `layers`, `metrics`, `cohort`,
            `transplant`, `contrast`, `forecast`, `survival`, `similarity`, `stitch`,
            `ablate`, `patch`, `units` or `film`.

    Raises:
        FormatError: there is no figure of this.
    """
    if isinstance(result, Mapping) and not isinstance(result, xr.Dataset):
        return cohort(result, **options)
    check_dataset(result)
    kind = str(result.attrs.get("vrlprobe", "unknown"))
    if kind == "probe":
        check_kind(result, kind)
        return (probe if is_curve(result) else layers)(result, **options)
    if kind == "cohort":
        return (transplant if "group" in result.dims else cohort)(result, **options)
    draw = {
        "metrics": metrics, "foretell": forecast, "outlook": survival, "stitch": stitch,
        "atoms": units, "film": film, "contrast": contrast, "similarity": similarity,
        "ablate": ablate, "patch": patch,
    }.get(kind)  # fmt: skip
    if draw is None:
        raise FormatError(f"there is no figure of a result of {kind}")
    return draw(result, **options)
