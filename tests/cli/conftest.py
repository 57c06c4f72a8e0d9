"""The commands, run in the test's own folder."""

import pytest
from click.testing import CliRunner

from vrlprobe.cli.main import main


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs the command in the test's folder: `call("probe", "a.h5")`."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(catch_exceptions=False)
    return lambda *arguments: runner.invoke(main, list(map(str, arguments)))
