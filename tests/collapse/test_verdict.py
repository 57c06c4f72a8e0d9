"""Stages, verdicts and the rule's arithmetic, on planted logs and on those of real runs."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrlprobe.collapse.indicators import GRADIENT, SPREAD, Sign
from vrlprobe.collapse.phases import CONFIRMED, Stage, spans, stages
from vrlprobe.collapse.rule import Rule, success_probability
from vrlprobe.collapse.verdict import UNREWARDED, judge

WINDOW = 80_000


def frames_of(n: int) -> np.ndarray:
    return 4000 * (np.arange(n) + 1)


def verdict(spread: list[float], gradient: list[float] | None = None, window: int = WINDOW):  # type: ignore[no-untyped-def]
    norms = [1e-6 if s < 0.1 else 1e-2 for s in spread] if gradient is None else gradient
    readings = {SPREAD.name: np.array(spread, float), GRADIENT.name: np.array(norms, float)}
    return judge(frames_of(len(spread)), readings, window)


def test_a_run_that_never_collapsed_is_healthy() -> None:
    found = verdict([0.5] * 25)
    assert (found.word, found.frame, str(found)) == ("healthy", None, "healthy")
    assert found.stages == (Stage(False, 4000, 100_000),)


def test_an_escape_is_where_the_last_healthy_stage_begins() -> None:
    found = verdict([np.nan, 0.06, 1e-4, 1e-5, 1e-5, 1e-4, 0.4, 0.6, 0.7, 0.7])
    assert str(found) == "escaped at 28,000"
    assert found.stages == (Stage(True, 8000, 24_000), Stage(False, 28_000, 40_000))
    assert all(item.agrees for item in found.evidence)


def test_a_relapse_counts_from_the_second_collapse() -> None:
    found = verdict([1e-5] * 5 + [0.5] * 5 + [1e-5] * 15)
    assert str(found) == "stuck since 44,000"
    assert [stage.collapsed for stage in found.stages] == [True, False, True]


def test_single_readings_change_nothing() -> None:
    """As logged by a real run before it came out: 0.0001, 0.17, 0.0003, then 0.53."""
    found = verdict([1e-4, 1e-4, 1e-2, 2e-2, 1e-4, 0.17, 3e-4, 0.53, 0.61, 0.56])
    assert str(found) == "escaped at 32,000"
    assert len(found.stages) == 2


def test_a_run_still_exploring_is_not_stuck_yet() -> None:
    found = verdict([1e-6] * 19)
    assert found.word == "undecided"
    assert "still decaying" in found.reason
    assert verdict([1e-6] * 20).word == "stuck"


def test_gradients_that_flow_keep_a_collapse_undecided() -> None:
    found = verdict([1e-2] * 25, [5e-2] * 25)
    assert found.word == "undecided"
    assert "grad_norm[mlp1]" in found.reason
    assert [item.agrees for item in found.evidence] == [True, False]


@pytest.mark.parametrize("spread", [[], [np.nan] * 30, [0.5], [0.5, 1e-5] * 10])
def test_too_little_to_say(spread: list[float]) -> None:
    assert verdict(spread).word == "undecided"


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        ([np.nan, 0.0, 0.0, 0.0], True),
        ([7.0, 0.0, 0.0, 0.0], False),
        ([np.nan] * 4, False),
        (None, False),
    ],
)
def test_a_run_that_met_no_reward_is_told(returns: list[float] | None, told: bool) -> None:
    """Whatever it does otherwise; a log without training returns says nothing of them."""
    for spread in ([0.5] * 4, [1e-5] * 4):
        readings = {SPREAD.name: np.array(spread), GRADIENT.name: np.array(spread)}
        if returns:
            readings["train_return"] = np.array(returns)
        found = judge(frames_of(4), readings, 8000)
        assert found.word == ("healthy" if spread[0] == 0.5 else "stuck")
        assert found.reason == (UNREWARDED if told else "")


def test_a_verdict_on_the_spread_alone_says_so() -> None:
    found = judge(frames_of(4), {SPREAD.name: np.full(4, 1e-5)}, 2000)
    assert (found.word, found.reason) == ("stuck", "by action_spread alone")


def test_evidence_says_how_far_from_the_threshold() -> None:
    found = verdict([1e-5] * 20, [1e-6] * 20)
    assert [item.decades for item in found.evidence] == pytest.approx([4, 3])
    rising = Sign("correlation_samples[mlp2]", 0.9, healthy_above=False)
    assert rising.healthy([0.5, 0.95, 0.9, np.nan]).tolist() == [True, False, False, False]
    assert rising.decades(0.09) == pytest.approx(1)


@given(st.lists(st.booleans(), max_size=60))
def test_stages_alternate_and_cover_the_run(collapsed: list[bool]) -> None:
    frames = frames_of(len(collapsed))
    found = stages(frames, np.array(collapsed, bool))
    longest = max((len(run) for run in _runs(collapsed)), default=0)
    assert bool(found) == (longest >= CONFIRMED)
    for one, two in pairwise(found):
        assert one.collapsed != two.collapsed
        assert two.first == one.last + 4000
    if found:
        assert (found[0].first, found[-1].last) == (frames[0], frames[-1])


def _runs(values: list[bool]) -> list[list[bool]]:
    runs: list[list[bool]] = []
    for value in values:
        if runs and runs[-1][-1] == value:
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs


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


def test_readings_that_are_not_numbers_neither_count_nor_break_a_streak() -> None:
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
    rule = Rule(WINDOW, Sign("correlation_samples[mlp2]", 0.9, healthy_above=False))
    assert rule.fires(frames_of(20), np.full(20, 0.99)) == WINDOW
    assert rule.fires(frames_of(20), np.full(20, 0.5)) is None


@pytest.mark.parametrize("bad", [{"window": 0}, {"window": 10, "consecutive": 0}])
def test_a_rule_without_a_window_or_readings_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Rule(**bad)


def test_a_rule_reads_a_sign() -> None:
    with pytest.raises(ValueError, match=r"a sign is a .*Sign"):
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


def test_spans_of_collapse_end_at_the_first_healthy_checkpoint() -> None:
    first, healthy = [("collapsed", 10, 30)] * 2, [("healthy", 30, 40)]
    last = [("collapsed", 40, -1)] * 2
    assert spans([("", -1, -1), *first, *healthy, *last], 50) == [(10, 30), (40, 50)]
    assert spans([*first[:1], *last[:1]], 50) == [(10, 30), (40, 50)]  # not all were looked at
    assert spans(healthy, 50) == []
