"""Thresholds of metrics as options."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

import click

from vrlprobe.collapse.indicators import INDICATORS, Indicator
from vrlprobe.errors import did_you_mean

thresholds_option = click.option(
    "--threshold", "thresholds", multiple=True, metavar="METRIC=VALUE",
    help="Threshold of a metric: "
    + ", ".join(f"{indicator.name}={indicator.threshold:g}" for indicator in INDICATORS),
)  # fmt: skip


def parse_thresholds(given: Sequence[str]) -> dict[str, float]:
    """By metric: what is given as METRIC=VALUE."""
    found = {}
    for text in given:
        name, _, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name or not 0 < found[name] < inf:
            raise click.BadParameter(
                f"METRIC=VALUE with a value above 0 is needed, not {text!r}",
                param_hint="--threshold",
            )
    return found


def with_thresholds(indicators: Sequence[Indicator], given: Mapping[str, float]) -> list[Indicator]:
    """Indicators with the thresholds given for them."""
    return [
        replace(indicator, threshold=given.get(indicator.name, indicator.threshold))
        for indicator in indicators
    ]


def refuse_unread(given: Mapping[str, float], indicators: Sequence[Indicator]) -> None:
    """Raise BadParameter for a threshold of a metric that is none of the indicators."""
    read = [indicator.name for indicator in indicators]
    for name in given:
        if name not in read:
            guess = did_you_mean(name, read, " ({})")
            raise click.BadParameter(
                f"no metric {name!r} is read here{guess}", param_hint="--threshold"
            )
