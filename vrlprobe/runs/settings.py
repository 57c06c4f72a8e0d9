"""Numbers in a run's config, which other programs may have written."""

import math
from typing import TYPE_CHECKING

from vrlprobe.errors import FormatError

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run
    from vrlprobe.runs.record import Record


def number(run: "Run | Record", name: str) -> float | None:
    """A setting that is a number; None where it is missing or null.

    Raises:
        FormatError: it is something else.
    """
    value = run.config.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FormatError(f"{run.path}: its config has {name} {value!r}, a number is needed")
    return float(value)


def whole(run: "Run | Record", name: str, default: int = 0) -> int:
    """A setting that is a whole number of 0 or more; the default where it is missing or null.

    Raises:
        FormatError: it is something else.
    """
    value = number(run, name)
    if value is None:
        return default
    if value < 0 or not value.is_integer():
        raise FormatError(
            f"{run.path}: its config has {name} {run.config[name]!r}, a whole number is needed"
        )
    return int(run.config[name])
