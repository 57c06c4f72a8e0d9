"""The reset rule against attempts whose answer is known."""

import numpy as np
import pytest

from vrlprobe.collapse.indicators import Indicator
from vrlprobe.collapse.rule import Rule, success_probability

WINDOW = 80_000


def frames_of(n: int) -> np.ndarray:
    return 4000 * (np.arange(n) + 1)


RULE = Rule(WINDOW)


def test_the_rule_wants_five_in_a_row() -> None:
    frames = frames_of(25)
    values = np.full(25, 1e-6)
    assert RULE.fires(frames, values) == WINDOW
    values[3:7] = 1e-2
    assert RULE.fires(frames, values) == WINDOW
    values[7] = 1.1e-3
    assert RULE.fires(frames, values) is None


def test_the_threshold_itself_does_not_exceed_it() -> None:
    assert RULE.streak(np.full(9, 1e-3)) == 0
    assert RULE.streak(np.full(9, np.nextafter(1e-3, 1))) == 9


def test_measurements_that_are_not_numbers_neither_count_nor_break_a_streak() -> None:
    values = np.array([np.nan, 1e-2, 1e-2, np.nan, 1e-2, 1e-2, 1e-2])
    assert RULE.streak(values) == 5


def test_an_escape_after_the_window_comes_too_late() -> None:
    frames = frames_of(60)
    values = np.where(frames > WINDOW - 12_000, 1e-2, 1e-6)
    assert RULE.fires(frames, values) == WINDOW


def test_the_rule_waits_for_the_end_of_its_window() -> None:
    assert RULE.fires(frames_of(19), np.full(19, 1e-6)) is None
    assert RULE.fires(frames_of(0), np.zeros(0)) is None


def test_a_later_attempt_has_a_window_of_its_own() -> None:
    frames = frames_of(50)
    values = np.where(frames <= WINDOW, 1e-2, 1e-6)
    assert RULE.fires(frames, values) is None
    assert RULE.fires(frames, values, begin=WINDOW) == 2 * WINDOW


def test_the_window_ends_at_the_first_evaluation_behind_it() -> None:
    assert Rule(10_000).fires(frames_of(5), np.full(5, 1e-6)) == 12_000


def test_metrics_that_rise_in_collapse_can_stand_in_the_rule() -> None:
    rule = Rule(WINDOW, Indicator("correlation_samples[mlp2]", 0.9, healthy_above=False))
    assert rule.fires(frames_of(20), np.full(20, 0.99)) == WINDOW
    assert rule.fires(frames_of(20), np.full(20, 0.5)) is None


@pytest.mark.parametrize("bad", [{"window": 0}, {"window": 10, "consecutive": 0}])
def test_a_rule_without_a_window_or_measurements_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rule(**bad)


def test_a_rule_reads_an_indicator() -> None:
    with pytest.raises(ValueError, match=r"an indicator is a .*Indicator"):
        Rule(WINDOW, "grad_norm[mlp1]")


def test_success_follows_the_proposition() -> None:
    """Paper: 13 of 40 stuck, 1.1e6 frames with a window of 2e5, so n = 5."""
    n = Rule(200_000).attempts(1_100_000)
    assert n == 5
    estimate, low, high = success_probability(13, 40, n)
    assert estimate == pytest.approx(1 - (13 / 40) ** 5)
    # exact 95% interval of 13/40, from the beta distribution's quantiles
    assert low == pytest.approx(1 - 0.4913**5, abs=1e-3)
    assert high == pytest.approx(1 - 0.1857**5, abs=1e-3)


def test_success_at_the_edges() -> None:
    assert success_probability(0, 10, 3)[0] == 1
    assert success_probability(10, 10, 3)[:2] == (0, 0)
    with pytest.raises(ValueError, match="no share"):
        success_probability(0, 0, 3)
