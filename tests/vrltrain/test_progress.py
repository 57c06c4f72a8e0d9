"""What a sweep shows of its runs, on a terminal and in a log."""

import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.vrltrain.tiny import TINY
from vrlprobe.collapse.rule import Attempt
from vrltrain import progress
from vrltrain.progress import Begun, progress_of, sweep_progress
from vrltrain.sweep import Standing

PATHS = [Path(f"runs/seed{n}.h5") for n in (1, 2, 3)]
CONFIGS = dict.fromkeys(PATHS, replace(TINY, total_frames=10_001, eval_every_frames=1000))
NAN = float("nan")


def test_a_log_has_a_line_when_something_has_changed(capsys) -> None:
    with sweep_progress(CONFIGS, Console(file=io.StringIO())) as bars:
        bars.show({})
        first = {PATHS[0]: Standing(0, NAN, 1), PATHS[1]: Standing(2000, 31.0, 1)}
        bars.show(first)
        bars.show(first)
        bars.show({PATHS[0]: Standing(4000, 40.0, 2), PATHS[1]: Standing(10_000, 99.0, 1)})
        bars.end(PATHS[1])
        bars.show({PATHS[0]: Standing(4000, 40.0, 2), PATHS[1]: Standing(10_000, 99.0, 1)})
    assert capsys.readouterr().err.splitlines() == [
        "0 of 3 ended; starting",
        "0 of 3 ended; seed1 0%; seed2 20%",
        "0 of 3 ended; seed1 40%, attempt 2",
        "1 of 3 ended; seed1 40%, attempt 2",
    ]


def test_a_terminal_has_a_row_a_run_and_one_for_all() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with sweep_progress(CONFIGS, console) as bars:
        bars.show({PATHS[0]: Standing(5000, 40.0, 2), PATHS[1]: Standing(2000, NAN, 1)})
        bars.bars.refresh()
        shown = screen.getvalue()
        bars.end(PATHS[1])
        rows = {task.description: task for task in bars.bars.tasks}
        assert rows.keys() == {"all", "seed1"}
        assert rows["all"].completed == 15_000
        assert rows["all"].total == 30_000
        assert rows["all"].fields["told"] == "1 of 3 ended"
        bars.show({PATHS[1]: Standing(10_000, 1.0, 1)})  # read before it ended
        assert len(bars.bars.tasks) == 2
    assert "return 40, attempt 2" in shown
    assert "0 of 3 ended" in shown


@dataclass
class Stands:
    """What progress reads of a training."""

    frame: int
    checkpoints: int = 0
    last_return: float = NAN
    rate: float = NAN
    attempt: Attempt = field(default_factory=Attempt)
    evaluated: int = 0
    evaluating: int = 0


CONFIG = replace(TINY, total_frames=20_001, eval_every_frames=2000)


def test_a_resumed_run_begins_where_it_was_and_says_what_a_stop_keeps(capsys, tmp_path) -> None:
    place = tmp_path / "run.h5"
    place.touch()

    def stopped() -> None:
        with progress_of(CONFIG, place, None, place, Begun(6000, 41.0)) as show:
            show(Stands(7500))
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        stopped()
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines() == [
        "resuming at 6,000 of 20,000 frames",
        f"stopped at frame 7,500; kept up to frame 6,000; continue with: vrltrain resume {place}",
    ]


def test_a_log_moves_between_evaluations(capsys, monkeypatch) -> None:
    now = iter([0.0, 10.0, 61.0, 70.0, 90.0, 135.0, 150.0, 150.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with progress._log_lines(20_000, Begun()) as show:
        show(Stands(500))
        show(Stands(1000, evaluated=1, evaluating=3))
        show(Stands(2000, checkpoints=1, last_return=30.0, rate=50.0))
        show(Stands(2500, checkpoints=1))
        show(Stands(3000, checkpoints=1))
    assert capsys.readouterr().err.splitlines() == [
        "1,000/20,000 frames, evaluated 1/3",
        "2,000/20,000 frames, return 30, 50 frames/s",
        "3,000/20,000 frames",
    ]


def test_a_terminal_shows_no_number_that_is_unknown() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    with progress._live_line(console, 20_000, Begun(6000, 41.0)) as show:
        show(Stands(6500))
    assert "6,000/20,000 frames" in screen.getvalue()
    assert "6,500/20,000 frames" in screen.getvalue()
    assert "return 41" in screen.getvalue()
    assert "nan" not in screen.getvalue()
