"""Good, middle and bad runs by the thresholds that they record."""

from typing import TYPE_CHECKING

from vrlprobe.errors import SampleError
from vrlprobe.runs.settings import number
from vrlprobe.stats.classes import Class, classify

if TYPE_CHECKING:
    from vrlprobe.runs.logged import LoggedRun


def run_class(
    run: "LoggedRun", final: float, good: float | None = None, bad: float | None = None
) -> Class:
    """Good, middle or bad by a final return; thresholds that are None are the run's profile's.

    Raises:
        SampleError: the run records none, or they make no sense.
    """
    good = number(run, "good_return") if good is None else good
    bad = number(run, "bad_return") if bad is None else bad
    if good is None or bad is None:
        raise SampleError(
            f"{run.path.name} records no good_return and bad_return: give them (`good`, `bad`)"
        )
    try:
        return classify(final, float(good), float(bad))
    except ValueError as error:
        raise SampleError(f"{run.path.name}: {error}") from error
