"""What figures draw where nothing is named: components, and runs or classes of them."""

import warnings
from collections.abc import Sequence
from typing import Literal, get_args

import xarray as xr

from vrlprobe.analyses.shared.average import by_class, run_classes
from vrlprobe.envs.tasks import reward_components
from vrlprobe.errors import VrlprobeError
from vrlprobe.samples.selection import Names, choose

By = Literal["class", "run"]
"""What has a row or a panel of its own."""
PANELS = 3
"""Components drawn over training where none are named."""


def check_by(by: str | None) -> None:
    """Raise ValueError for anything but a class, a run or None."""
    if by not in (None, *get_args(By)):
        raise ValueError(f"rows and panels are by {' or '.join(get_args(By))}, not {by!r}")


def chosen_components(result: xr.Dataset, wanted: Names, default: Sequence[str] = ()) -> list[str]:
    """Components by name or alias; the default's, or all, if None."""
    return choose(wanted, result["component"].values.tolist(), "component", default)


def telling_components(result: xr.Dataset) -> list[str]:
    """What the task's reward reads, filled up with what a layer has best at the last frame."""
    best = result["test_r2"].isel(frame=-1).max(["run", "layer"]).to_series().dropna()
    read = [n for n in reward_components(str(result.attrs.get("task"))) if n in best.index]
    others = best.drop(read).sort_values(ascending=False, kind="stable")
    told = [*read, *others[others > 0].index]
    return (told or result["component"].values.tolist())[:PANELS]


def is_curve(result: xr.Dataset) -> bool:
    """Whether a run of the result has several frames."""
    return bool((result["checkpoint"] != "").sum("frame").max() >= 2)


def chosen_rows(
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
    warn_of_ends(found)
    return drawn


def warn_of_ends(result: xr.Dataset) -> None:
    """Warn where classes are not by the return at the end, which an older result does not have."""
    if "final_return" not in result:
        known = result["episode_return"].notnull().any("run").values
        warnings.warn(
            "the result does not say what its runs return at their end: the classes are by the "
            f"return at frame {result['frame'].values[known][-1]}, the last one in it",
            UserWarning,
            stacklevel=3,
        )
