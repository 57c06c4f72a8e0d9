"""Arguments out of range, refused before any work."""

import math
import operator
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np


def check_at_least(least: int, **arguments: Any) -> None:
    """Raise ValueError for an argument that is no whole number, or below the least."""
    for name, value in arguments.items():
        try:
            found = operator.index(value)
        except TypeError:
            raise ValueError(f"{name} must be a whole number, not {value!r}") from None
        if found < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")


def check_given(least: int, **arguments: Any) -> None:
    """`check_at_least` of those that are not None, which stands for a default."""
    check_at_least(least, **{k: value for k, value in arguments.items() if value is not None})


def check_jobs(n_jobs: Any) -> None:
    """Raise ValueError for a number of processes that scikit-learn would not take, either."""
    check_at_least(-sys.maxsize, n_jobs=n_jobs)
    if n_jobs == 0:
        raise ValueError("n_jobs must be at least 1, or -1 for one a core, not 0")


def check_finite(**arguments: float) -> None:
    """Raise ValueError for an argument that is NaN or infinite."""
    for name, value in arguments.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, not {value:g}")


def as_list(wanted: Any) -> list[Any]:
    """One name or several as a list, among them a coordinate of a result: `result["layer"]`."""
    if not isinstance(wanted, str) and hasattr(wanted, "__array__"):
        found: list[Any] = np.asarray(wanted).reshape(-1).tolist()
        return found
    alone = isinstance(wanted, str) or not isinstance(wanted, Iterable)
    return [wanted] if alone else list(wanted)


def as_number(value: Any) -> float | None:
    """A number, also one that is an array's only element without a dimension; else None."""
    if isinstance(value, str) or np.ndim(value):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
