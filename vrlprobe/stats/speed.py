"""How fast runs learn: frames to a threshold return, and the area under the learning curve.

Pure functions of learning curves, a row a run. A run that never reaches the threshold counts for as
long as it was seen: it is right-censored.
"""

import numpy as np
import numpy.typing as npt

from vrlprobe.stats.survival import Curve

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def frames_to_threshold(
    frames: npt.ArrayLike, returns: npt.ArrayLike, threshold: npt.ArrayLike
) -> tuple[Floats, Bools]:
    """Frames until the first evaluation with a return from a threshold on.

    Args:
        frames: (n_frames,), increasing.
        returns: (n_runs, n_frames), NaN where a run was not evaluated.
        threshold: one number, or one a run (n_runs,).

    Returns:
        Frames (n_runs,), of a run that never reaches it the frame of its last evaluation, and
        whether it reaches it (n_runs,). The resolution is that of the evaluations.

    Raises:
        ValueError: a run without an evaluation.
    """
    at, curves = np.asarray(frames, np.float64), np.asarray(returns, np.float64)
    known = np.isfinite(curves)
    if not known.any(axis=1).all():
        raise ValueError("a run without an evaluation has no frames to a threshold")
    over = known & (curves >= np.reshape(threshold, (-1, 1)))
    reached = np.asarray(over.any(axis=1))
    last = curves.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    first: npt.NDArray[np.int64] = np.where(reached, over.argmax(axis=1), last)
    return at[first], reached


def area_under_curve(frames: npt.ArrayLike, returns: npt.ArrayLike) -> Floats:
    """Area under each learning curve divided by its frames: the mean return over training.

    By the trapezoid rule, from a run's first to its last evaluation.

    Args:
        frames, returns: see `frames_to_threshold`.

    Returns:
        (n_runs,): the return itself for one evaluation, NaN for none.
    """
    at = np.asarray(frames, np.float64)
    return np.array([_area(at, row) for row in np.asarray(returns, np.float64)])


def _area(frames: Floats, returns: Floats) -> float:
    known = np.isfinite(returns)
    x, y = frames[known], returns[known]
    if len(x) < 2:
        return float(y[0]) if len(y) else float("nan")
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def median_frames(
    frames: npt.ArrayLike, reached: npt.ArrayLike, level: float = 0.95
) -> tuple[float, float, float]:
    """Kaplan and Meier's median of the frames to a threshold, with its interval.

    Args:
        frames, reached: (n_runs,), see `frames_to_threshold`.
        level: of the interval, see `vrlprobe.stats.survival.Curve.median`.

    Returns:
        NaN where a run has no evaluation. Infinite where more than half of the runs, or the
        interval's bound of their share, have not reached it.
    """
    if np.isnan(frames).any():
        return float("nan"), float("nan"), float("nan")
    return Curve(frames, reached).median(level)
