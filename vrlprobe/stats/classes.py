"""Good, middle and bad runs by their returns."""

from typing import Literal, get_args

import numpy as np

from vrlprobe._checks import check_finite

Class = Literal["good", "middle", "bad"]
CLASSES: tuple[Class, ...] = get_args(Class)


def classify(returned: float, good: float, bad: float) -> Class:
    """Good from `good` on, bad up to `bad`, middle between (paper, section 4: 900 and 30).

    Raises:
        ValueError: the thresholds are no numbers or the wrong way round, or the return is not
            finite.
    """
    check_finite(good=good, bad=bad)
    if not bad < good:
        raise ValueError(f"bad returns end at {bad:g}, above where good ones begin, {good:g}")
    if not np.isfinite(returned):
        found = "without a return" if np.isnan(returned) else f"with a return of {returned:g}"
        raise ValueError(f"a run {found} belongs to no class")
    return "good" if returned >= good else "bad" if returned <= bad else "middle"
