"""The page about the command line shows the help that the commands print."""

import difflib
import importlib.util
from pathlib import Path

import pytest
from click.testing import CliRunner

from vrlprobe.cli.main import main as vrlprobe
from vrltrain.cli import main as vrltrain

SCRIPT = Path(__file__).parent.parent / "docs" / "cli.py"
PAGE = SCRIPT.with_suffix(".md")


def test_the_page_is_that_of_the_present_commands() -> None:
    spec = importlib.util.spec_from_file_location("docs_cli", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    changes = difflib.unified_diff(
        PAGE.read_text().splitlines(), script.reference().splitlines(), lineterm="", n=0
    )
    assert not list(changes), "run `python docs/cli.py`"


@pytest.mark.parametrize(
    "line", ["vrlprobe", "vrlprobe probe", "vrlprobe plot units", "vrltrain run"]
)
def test_it_has_what_a_terminal_shows(line: str) -> None:
    name, *rest = line.split()
    program = {"vrlprobe": vrlprobe, "vrltrain": vrltrain}[name]
    shown = CliRunner().invoke(
        program, [*rest, "--help"], prog_name=name, terminal_width=88, max_content_width=88
    )
    assert shown.exit_code == 0
    assert f" {line}\n\n```text\n{shown.output}```\n" in PAGE.read_text()
