"""The command `vrlprobe`."""

import difflib
from importlib import import_module

import click

from vrlprobe.cli.group import CleanGroup

COMMANDS = (
    "info",
    "verify",
    "salvage",
    "samples",
    "activations",
    "probe",
    "metrics",
    "collapse",
    "cohort",
    "compare",
    "transplant",
    "grid",
    "predict",
    "foretell",
    "outlook",
    "plot",
    "film",
    "report",
    "import",
    "export",
)
PLACES = {"import": ("importing", "import_")}
"""Module and function of commands whose names Python does not allow for them."""


class LazyGroup(CleanGroup):
    """Imports a command's module only when it is called, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of use."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names; a typo is told what it may have meant."""
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        if args[0] not in COMMANDS and near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, name = PLACES.get(cmd_name, (cmd_name, cmd_name))
        command: click.Command = getattr(import_module(f"vrlprobe.cli.{module}"), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrlprobe")
def main() -> None:
    """Analyse the checkpoints of agents trained from pixels."""
