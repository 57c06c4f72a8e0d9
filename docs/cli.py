"""Writes the command line's reference, `docs/cli.md`, from the commands' own `--help`.

    python docs/cli.py

`tests/test_cli_reference.py` says when it has to be run again.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from vrlprobe.cli.main import main as vrlprobe
from vrltrain.cli import main as vrltrain

PAGE = Path(__file__).with_suffix(".md")
WIDTH = 88
INTRO = """\
# Command line

Look up what a command takes: this page holds the text of every `--help`. A result goes to
stdout, as a table or, with `--json`, for programs; progress and warnings go to stderr. The exit
status is 0 after success, 1 after an error in the input, which is one line, and 2 after a mistake
in the options.

The shell completes commands, options and files: put `eval "$(_VRLPROBE_COMPLETE=bash_source
vrlprobe)"` into `~/.bashrc` (`zsh_source` into `~/.zshrc`), and the same with `_VRLTRAIN_COMPLETE`
and `vrltrain`.

<!-- written by `python docs/cli.py` -->
"""


def commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Every command's full name and help text, groups before what is in them."""
    shape = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(
        command, info_name=name, parent=parent, **shape, **command.context_settings
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            assert inner is not None
            yield from commands(inner, part, context)


def reference() -> str:
    """The text of the page."""
    sections = [INTRO]
    for program, name in ((vrlprobe, "vrlprobe"), (vrltrain, "vrltrain")):
        for path, text in commands(program, name):
            level = "#" * min(2 + path.count(" "), 4)
            sections.append(f"{level} {path}\n\n```text\n{text}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.write_text(reference())
