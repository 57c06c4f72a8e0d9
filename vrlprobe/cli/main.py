"""The command `vrlprobe`."""

import difflib
from importlib import import_module

import click

from vrlprobe._group import CleanGroup

COMMANDS = {
    "info": "What is inside runs.",
    "verify": "Check every checksum, digest and shape in runs.",
    "salvage": "Seal killed runs, with every committed checkpoint.",
    "samples": "Make one sample set from several runs' episodes.",
    "activations": "Write a checkpoint's layer activations to NetCDF.",
    "probe": "Which layers linearly encode which parts of the state.",
    "metrics": "Rank, correlation, dead units and gradients of runs.",
    "similarity": "How alike the layers of runs are, by linear CKA.",
    "collapse": "Whether runs are stuck, since when, or when they escaped.",
    "reset-rule": "What the paper's reset rule would have done to runs.",
    "cohort": "Count good, bad and stuck runs, with intervals.",
    "compare": "Does a change help? Compare cohorts with a first one.",
    "contrast": "Are bad runs probed worse in the MLP than in the encoder?",
    "transplant": "Assemble an agent from the parts of others.",
    "grid": "Assemble agents from every CNN and every MLP (Figure 3).",
    "stitch": "Which part of a stuck agent is to blame: CNN or MLP.",
    "intervene": "Change activations: does an agent use what a probe reads?",
    "diagnose": "Why is my agent stuck? Part, layer, what lasts, what to do.",
    "predict": "Does the probe error predict a transplant's success?",
    "forecast": "How early the outcome of runs can be predicted.",
    "survival": "How long collapse lasts, and whether to wait.",
    "plot": "Draw a figure from results, or from runs.",
    "film": "Film strips and videos of episodes (Figure 6).",
    "report": "One HTML page about runs that opens offline.",
    "import": "Make a run from checkpoints saved by other programs.",
    "export": "Write a checkpoint as a state dict, or episodes for Minari.",
}
"""What `--help` says of each, in the order of use; their modules take seconds to import."""
PLACES = {"import": ("import_", "import_"), "reset-rule": ("reset_rule", "reset_rule")}
"""Module and function of commands whose names Python does not allow for them."""


NEW = {"transplant", "grid", "import", "export", "info", "verify", "salvage"}
"""Commands that write no files, or new ones only."""
OUTPUTS = {"output", "data", "plot", "video"}


def with_force(command: click.Command) -> click.Command:
    """A command, or the commands of a group, with the option --force where it writes files."""
    if isinstance(command, click.Group):
        for part in command.commands.values():
            with_force(part)
        return command
    names = {option.name for option in command.params}
    if names & OUTPUTS and "force" not in names:
        option = click.Option(
            ["--force"], is_flag=True, expose_value=False, callback=_remember_force,
            help="Replace a file that is no earlier output of this kind, too.",
        )  # fmt: skip
        command.params.append(option)
    return command


def _remember_force(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta["vrlprobe.force"] = value


class LazyGroup(CleanGroup):
    """Imports a command's module only when it is called, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of use."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

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
        return command if cmd_name in NEW else with_force(command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrlprobe")
def main() -> None:
    """Analyse the checkpoints of agents trained from pixels."""
