"""Where a command keeps what it has computed, so that it is not computed again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vrlprobe.analyses.shared.cache import default_folder
from vrlprobe.cli.common import FILE, refuse_idle


def cache_options(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--cache` and `--no-cache` for ``what`` the command keeps, in the plural."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        none = click.option("--no-cache", is_flag=True, help=f"Neither read nor save {what}.")
        folder = click.option(
            "--cache", type=FILE,
            help=f"Folder where {what} are kept, so that none is repeated.  "
            "[default: ~/.cache/vrlprobe]",
        )  # fmt: skip
        return folder(none(command))

    return decorate


def cache_folder(cache: Path | None, no_cache: bool) -> Path | None:
    """Where to keep results, as the options say; None for nowhere.

    Raises:
        UsageError: both options are given.
    """
    if no_cache:
        refuse_idle(["cache"], "names where results are kept, --no-cache keeps none")
        return None
    return cache or default_folder()
