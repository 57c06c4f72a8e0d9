"""Numbers in a run's config, which other programs may have written."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vrlprobe.errors import FormatError

if TYPE_CHECKING:
    from vrlprobe.runs.logged import LoggedRun


TEXTS = ("task", "profile", "architecture", "render", "precision", "init", "device")
COUNTS = (
    *("seed", "total_frames", "eval_every_frames", "eval_episodes", "final_episodes"),
    *("action_repeat", "frame_stack", "image_size", "action_dim", "rule_window"),
)
RETURNS = ("good_return", "bad_return")
MOST = 2**63
"""More than any whole number in a config; JSON has numbers of any size."""


def number(run: "LoggedRun", name: str) -> float | None:
    """A setting that is a number; None where it is missing or null.

    Raises:
        FormatError: it is something else.
    """
    value = run.config.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise FormatError(f"{run.path}: its config has {name} {shortly(value)}, a number is needed")
    return float(value)


def whole(run: "LoggedRun", name: str, default: int = 0) -> int:
    """A setting that is a whole number of 0 or more; the default where it is missing or null.

    Raises:
        FormatError: it is something else.
    """
    value = number(run, name)
    if value is None:
        return default
    if value < 0 or not value.is_integer():
        raise FormatError(
            f"{run.path}: its config has {name} {run.config[name]!r}, a whole number is needed"
        )
    return int(run.config[name])


def last_due(run: "LoggedRun") -> int | None:
    """The frame at which a run's last evaluation is due; None where its config does not say."""
    total = whole(run, "total_frames")
    due = range(0, total, whole(run, "eval_every_frames") or total or 1)
    return due[-1] if due else None


def settings_doubts(config: Mapping[str, Any]) -> Iterator[str]:
    """What the settings of a run are that those of no run are, a line each.

    Settings that only an architecture knows are not looked at.
    """
    for name in TEXTS:
        if not isinstance(config.get(name, ""), str | None):
            yield f"its config has {name} {shortly(config[name])}, a text is needed"
    for name in COUNTS:
        value = config.get(name)
        if value is not None and not _is_count(value):
            yield f"its config has {name} {shortly(value)}, a whole number from 0 is needed"
    for name in RETURNS:
        value = config.get(name)
        if value is not None and not _is_number(value):
            yield f"its config has {name} {shortly(value)}, a number is needed"


def shortly(value: Any) -> str:
    """A value of any size in a few words."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} …"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < MOST if isinstance(value, int) else math.isfinite(value)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and float(value).is_integer()
