"""What every command shares: errors as one line, interrupts without a traceback."""

import sys
from typing import Any

import click

from vrlprobe.errors import VrlprobeError


class CleanGroup(click.Group):
    """A group whose commands end with one line and exit 1 on a `VrlprobeError` or `OSError`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a mistake in its input prints one line and exits with 1."""
        try:
            return super().invoke(ctx)
        except VrlprobeError as error:
            click.echo(f"{ctx.info_name}: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"{ctx.info_name}: {where}{error.strerror or error}", err=True)
            sys.exit(1)
