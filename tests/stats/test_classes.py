"""Classes of runs by their returns."""

import pytest

from vrlprobe.stats.classes import classify


@pytest.mark.parametrize(
    ("returned", "expected"),
    [(968, "good"), (900, "good"), (899.9, "middle"), (30.1, "middle"), (30, "bad"), (0, "bad")],
)
def test_classes_of_the_paper(returned: float, expected: str) -> None:
    assert classify(returned, 900, 30) == expected


def test_classes_need_sound_thresholds_and_a_return() -> None:
    with pytest.raises(ValueError, match="above where good ones begin"):
        classify(50, good=30, bad=900)
    for end in (float("inf"), float("nan")):
        with pytest.raises(ValueError, match="good must be a finite number"):
            classify(50, good=end, bad=30)
        with pytest.raises(ValueError, match="bad must be a finite number"):
            classify(50, good=900, bad=-end)
    with pytest.raises(ValueError, match="no class"):
        classify(float("nan"), 900, 30)
