"""How many processes a command uses."""

from collections.abc import Callable
from typing import Any

import click
from joblib import cpu_count


def jobs_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--jobs`, one process a core by default; the library's default is one (`N_JOBS`)."""
    return click.option(
        "-j", "--jobs", type=click.IntRange(min=1), default=cpu_count,
        help=f"{text}  [default: one per core]",
    )  # fmt: skip
