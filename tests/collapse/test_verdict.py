"""Phases, verdicts and the rule's arithmetic, on planted logs and on those of real runs."""

import numpy as np
import pytest

from vrlprobe.collapse.indicators import ACTION_STD, GRADIENT, Indicator
from vrlprobe.collapse.phases import Phase
from vrlprobe.collapse.verdict import UNREWARDED, judge

WINDOW = 80_000


def frames_of(n: int) -> np.ndarray:
    return 4000 * (np.arange(n) + 1)


def verdict(spread: list[float], gradient: list[float] | None = None, window: int = WINDOW):  # type: ignore[no-untyped-def]
    norms = [1e-6 if s < 0.1 else 1e-2 for s in spread] if gradient is None else gradient
    measurements = {ACTION_STD.name: np.array(spread, float), GRADIENT.name: np.array(norms, float)}
    return judge(frames_of(len(spread)), measurements, window)


def test_a_run_that_never_collapsed_is_healthy() -> None:
    found = verdict([0.5] * 25)
    assert (found.word, found.frame, str(found)) == ("healthy", None, "healthy")
    assert found.phases == (Phase(False, 4000, 100_000),)


def test_an_escape_is_where_the_last_healthy_stage_begins() -> None:
    found = verdict([np.nan, 0.06, 1e-4, 1e-5, 1e-5, 1e-4, 0.4, 0.6, 0.7, 0.7])
    assert str(found) == "escaped at 28,000"
    assert found.phases == (Phase(True, 8000, 24_000), Phase(False, 28_000, 40_000))
    assert all(item.agrees for item in found.evidence)


def test_a_relapse_counts_from_the_second_collapse() -> None:
    found = verdict([1e-5] * 5 + [0.5] * 5 + [1e-5] * 15)
    assert str(found) == "stuck since 44,000"
    assert [phase.collapsed for phase in found.phases] == [True, False, True]


def test_single_measurements_change_nothing() -> None:
    """As logged by a real run before it came out: 0.0001, 0.17, 0.0003, then 0.53."""
    found = verdict([1e-4, 1e-4, 1e-2, 2e-2, 1e-4, 0.17, 3e-4, 0.53, 0.61, 0.56])
    assert str(found) == "escaped at 32,000"
    assert len(found.phases) == 2


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
        measurements = {ACTION_STD.name: np.array(spread), GRADIENT.name: np.array(spread)}
        if returns:
            measurements["train_return"] = np.array(returns)
        found = judge(frames_of(4), measurements, 8000)
        assert found.word == ("healthy" if spread[0] == 0.5 else "stuck")
        assert found.reason == (UNREWARDED if told else "")


def test_a_verdict_on_the_spread_alone_says_so() -> None:
    found = judge(frames_of(4), {ACTION_STD.name: np.full(4, 1e-5)}, 2000)
    assert (found.word, found.reason) == ("stuck", "by action_spread alone")


def test_evidence_says_how_far_from_the_threshold() -> None:
    found = verdict([1e-5] * 20, [1e-6] * 20)
    assert [item.decades for item in found.evidence] == pytest.approx([4, 3])
    rising = Indicator("correlation_samples[mlp2]", 0.9, healthy_above=False)
    assert rising.healthy([0.5, 0.95, 0.9, np.nan]).tolist() == [True, False, False, False]
    assert rising.decades(0.09) == pytest.approx(1)
