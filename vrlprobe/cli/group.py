"""What every command shares: errors as one line, interrupts without a traceback."""

import sys
from typing import Any

import click

from vrlprobe.errors import VrlprobeError

ALLOCATOR = "DefaultCPUAllocator"
"""How torch's errors call the processor's memory."""


class CleanGroup(click.Group):
    """A group whose commands end with one line on a mistake in their options or their input."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a mistake exits with 2 if it is in the options, with 1 elsewhere."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else ctx.command_path
            text = " ".join(error.format_message().split()).rstrip(".")
            click.echo(f"{command}: {text} (see {command} --help)", err=True)
            sys.exit(error.exit_code)
        except VrlprobeError as error:
            click.echo(f"{ctx.info_name}: {error}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            sys.exit(130)
        except (MemoryError, RuntimeError) as error:
            if not _is_want_of_memory(error):
                raise
            reason = str(error).partition("\n")[0].rpartition(f"{ALLOCATOR}: ")[2]
            click.echo(f"{ctx.info_name}: not enough memory: {reason}", err=True)
            sys.exit(1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"{ctx.info_name}: {where}{error.strerror or error}", err=True)
            sys.exit(1)


def _is_want_of_memory(error: Exception) -> bool:
    """Torch says so by a RuntimeError: on a GPU of its own type, on a processor by the text."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or ALLOCATOR in str(error)
