"""Runs that are named by a link: what belongs to them is beside their file."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.vrltrain.tiny import TINY, Stop, same_runs, stop_at
from vrltrain.cli import main
from vrltrain.run import begin
from vrltrain.train import quiet


@pytest.mark.parametrize("scratch", [False, True])
def test_a_run_goes_on_through_a_link(unbroken: Path, tmp_path: Path, scratch: bool) -> None:
    """Its state, its record and its place on a scratch disk are those of the run."""
    home, local, link = (tmp_path / name for name in ("home", "local", "link.h5"))
    home.mkdir()
    local.mkdir()
    link.symlink_to(home / "run.h5")
    with pytest.raises(Stop):
        begin(TINY, (local if scratch else home) / "run.h5", stop_at(2500), quiet)
    given = [str(link), *(["--scratch", str(local)] if scratch else [])]
    for ending in ("", f"(was complete already; its record is {home / 'run.json'})\n"):
        done = CliRunner(catch_exceptions=False).invoke(main, ["resume", *given])
        assert done.exit_code == 0, done.output
        assert done.stdout.endswith(ending)
    assert link.is_symlink()
    assert sorted(item.name for item in home.iterdir()) == ["run.h5", "run.json"]
    assert not any(local.iterdir())
    same_runs(link, unbroken)
