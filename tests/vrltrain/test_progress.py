"""What a sweep shows of its runs, on a terminal and in a log."""

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.vrltrain.tiny import TINY
from vrltrain.progress import sweep_progress
from vrltrain.sweep import Standing

PATHS = [Path(f"runs/seed{n}.h5") for n in (1, 2, 3)]
CONFIGS = dict.fromkeys(PATHS, replace(TINY, total_frames=10_001, eval_every_frames=1000))
NAN = float("nan")


def test_a_log_has_a_line_when_something_has_changed(capsys) -> None:
    with sweep_progress(CONFIGS, Console(file=io.StringIO())) as progress:
        progress.show({})
        first = {PATHS[0]: Standing(0, NAN, 1), PATHS[1]: Standing(2000, 31.0, 1)}
        progress.show(first)
        progress.show(first)
        progress.show({PATHS[0]: Standing(4000, 40.0, 2), PATHS[1]: Standing(10_000, 99.0, 1)})
        progress.end(PATHS[1])
        progress.show({PATHS[0]: Standing(4000, 40.0, 2), PATHS[1]: Standing(10_000, 99.0, 1)})
    assert capsys.readouterr().err.splitlines() == [
        "0 of 3 ended; starting",
        "0 of 3 ended; seed1 0%; seed2 20%",
        "0 of 3 ended; seed1 40%, attempt 2",
        "1 of 3 ended; seed1 40%, attempt 2",
    ]


def test_a_terminal_has_a_row_a_run_and_one_for_all() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with sweep_progress(CONFIGS, console) as progress:
        progress.show({PATHS[0]: Standing(5000, 40.0, 2), PATHS[1]: Standing(2000, NAN, 1)})
        progress.bars.refresh()
        shown = screen.getvalue()
        progress.end(PATHS[1])
        rows = {task.description: task for task in progress.bars.tasks}
        assert rows.keys() == {"all", "seed1"}
        assert rows["all"].completed == 15_000
        assert rows["all"].total == 30_000
        assert rows["all"].fields["told"] == "1 of 3 ended"
        progress.show({PATHS[1]: Standing(10_000, 1.0, 1)})  # read before it ended
        assert len(progress.bars.tasks) == 2
    assert "return 40, attempt 2" in shown
    assert "0 of 3 ended" in shown
