"""What a result of `similarity` says of pairs of runs, in order of their classes."""

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr

from vrlprobe.analyses.shared.average import run_classes
from vrlprobe.errors import VrlprobeError
from vrlprobe.stats.classes import CLASSES


def classes_of(result: xr.Dataset) -> dict[str, str]:
    """Each run's class, good ones first; no classes where they are not known."""
    try:
        found = run_classes(result)
    except VrlprobeError:
        return {}
    return dict(sorted(found.items(), key=lambda item: [*CLASSES].index(item[1])))  # type: ignore[arg-type]


def common_frames(result: xr.Dataset) -> list[int]:
    """Frames at which every run has a checkpoint."""
    there = (result["checkpoint"] != "").all("run").values
    found: list[int] = result["frame"].values[there].tolist()
    return found


def pair_values(
    cka: xr.DataArray, runs: Sequence[str], others: Sequence[str], frame: int
) -> list[float]:
    """Similarity of every pair of a run and another at one frame, each pair once."""
    at = cka.sel(frame=frame, other_frame=frame)
    pairs = itertools.combinations(runs, 2) if runs == others else itertools.product(runs, others)
    values = (float(at.sel(run=one, other_run=other)) for one, other in pairs)
    return [value for value in values if not np.isnan(value)]
