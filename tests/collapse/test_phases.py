"""Phases and spans of collapse."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vrlprobe.collapse.phases import CONFIRMED, phases, spans


def frames_of(n: int) -> np.ndarray:
    return 4000 * (np.arange(n) + 1)


@given(st.lists(st.booleans(), max_size=60))
def test_stages_alternate_and_cover_the_run(collapsed: list[bool]) -> None:
    frames = frames_of(len(collapsed))
    found = phases(frames, np.array(collapsed, bool))
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


def test_spans_of_collapse_end_at_the_first_healthy_checkpoint() -> None:
    first, healthy = [("collapsed", 10, 30)] * 2, [("healthy", 30, 40)]
    last = [("collapsed", 40, -1)] * 2
    assert spans([("", -1, -1), *first, *healthy, *last], 50) == [(10, 30), (40, 50)]
    assert spans([*first[:1], *last[:1]], 50) == [(10, 30), (40, 50)]  # not all were looked at
    assert spans(healthy, 50) == []
