"""What the shell offers after a run's name was begun."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vrlprobe.cli.main import main as vrlprobe
from vrltrain.cli import main as vrltrain

PROGRAMS = {"vrlprobe": vrlprobe, "vrltrain": vrltrain}


def named() -> Iterator[tuple[click.Parameter, str]]:
    """Every argument and option that is a run, and its name; lists have commas of their own."""
    todo: list[tuple[click.Command, str]] = [(c, name) for name, c in PROGRAMS.items()]
    for command, name in todo:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for part in command.list_commands(context):
                inner = command.get_command(context, part)
                assert inner is not None
                todo.append((inner, f"{name} {part}"))
        for parameter in command.params:
            shown = parameter.make_metavar(click.Context(command))
            if ("RUN" in shown or "DONOR" in shown) and ",…" not in shown:
                yield parameter, f"{name} {parameter.name}"


@pytest.mark.parametrize(("parameter", "name"), [pytest.param(p, n, id=n) for p, n in named()])
def test_runs_are_completed_to_files(parameter, name):
    offered = parameter.shell_complete(click.Context(click.Command("x")), "ru")
    assert "file" in {item.type for item in offered}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vrlprobe info ru", {"file,ru"}),
        ("vrlprobe transplant --cnn b", {"plain,bad", "plain,blank", "file,b"}),
        ("vrltrain resume ru", {"file,ru"}),
    ],
)
def test_as_a_shell_asks(line, offered):
    words = line.split()
    program = Path(sys.executable).with_name(words[0])
    asked = {
        f"_{words[0].upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    told = subprocess.run(
        [program], env=os.environ | asked, capture_output=True, text=True, check=True, timeout=60
    )
    assert set(told.stdout.split()) == offered
