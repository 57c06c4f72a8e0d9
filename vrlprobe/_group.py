"""What every command shares: errors as one line, interrupts without a traceback."""

import re
import sys
from io import TextIOWrapper
from typing import Any

import click

from vrlprobe._interrupts import interruptible, still_interrupts
from vrlprobe.errors import VrlprobeError

ALLOCATOR = "DefaultCPUAllocator"
"""How torch's errors call the processor's memory."""
ARGUMENT = re.compile(r'`([a-z_]+)(?:="?(\w+)"?)?`')
"""How a message of the library spells an argument: `window`, `frames="all"`."""


class CleanGroup(click.Group):
    """A group whose commands end with one line on a mistake in their options or their input."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program; a terminal of another encoding than UTF-8 gets ? for what it lacks."""
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a mistake exits with 2 if it is in the options, with 1 elsewhere."""
        with interruptible():
            try:
                with still_interrupts():
                    return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("stopped", err=True)
                sys.exit(130)
            except Exception as error:
                command = self.get_command(ctx, ctx.invoked_subcommand or "")
                if (told := _told(ctx, command, error)) is None:
                    raise
                click.echo(told, err=True)
                sys.exit(error.exit_code if isinstance(error, click.UsageError) else 1)


def _told(ctx: click.Context, command: click.Command | None, error: Exception) -> str | None:
    """The line that an error of the user's, or of the machine, ends with; None for any other."""
    match error:
        case click.exceptions.NoArgsIsHelpError() | BrokenPipeError():
            return None
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else ctx.command_path
            text = " ".join(error.format_message().split()).rstrip(".")
            return f"{path}: {text} (see {path} --help)"
        case VrlprobeError():
            return f"{ctx.info_name}: {as_options(str(error), command)}"
        case MemoryError() | RuntimeError() if _is_want_of_memory(error):
            reason = str(error).partition("\n")[0].rpartition(f"{ALLOCATOR}: ")[2]
            return f"{ctx.info_name}: not enough memory: {reason}"
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return f"{ctx.info_name}: {where}{error.strerror or error}"
    return None


def as_options(message: str, command: click.Command | None) -> str:
    """A message of the library, in which arguments are named, with a command's options instead.

    `frames="all"` becomes --frames all, `cuda_graph=False` --no-cuda-graph; what is none of the
    command's options stays as it is.
    """
    options = _options(command)

    def spelled(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in options:
            return found[0]
        option = options[name]
        if option.is_flag:
            names = option.secondary_opts if value == "False" else option.opts
            return max(names, key=len, default=found[0])
        flag = max(option.opts, key=len)
        return flag if value is None else f"{flag} {value}"

    return ARGUMENT.sub(spelled, message)


def _options(command: click.Command | None) -> dict[str, click.Option]:
    """A command's options, or those of a group's commands, by the arguments that they give.

    An argument is called as its option, or as the variable that takes it.
    """
    if isinstance(command, click.Group):
        every = [_options(part) for part in command.commands.values()]
        return {name: option for options in every for name, option in options.items()}
    options = [item for item in getattr(command, "params", []) if isinstance(item, click.Option)]
    by_variable = {item.name or "": item for item in options}
    by_flag = {max(item.opts, key=len)[2:].replace("-", "_"): item for item in options}
    return by_flag | by_variable


def _is_want_of_memory(error: Exception) -> bool:
    """Torch says so by a RuntimeError: on a GPU of its own type, on a processor by the text."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or ALLOCATOR in str(error)
