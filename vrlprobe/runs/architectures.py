"""The architectures that a run's config may name: installed ones, and a script's own."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from vrlprobe.errors import FormatError, did_you_mean

GROUP = "vrlprobe.agents"
_REGISTERED: dict[str, Any] = {}


def architecture(config: Mapping[str, Any], where: str) -> Any:
    """What builds the agents of the architecture that a config names.

    Raises:
        FormatError: it is neither installed (entry points) nor registered; `where` begins the
            message.
    """
    name = str(config.get("architecture"))
    if name in _REGISTERED:
        return _REGISTERED[name]
    known = entry_points(group=GROUP)
    for entry in known.select(name=name):
        return entry.load()
    names = sorted({*known.names, *_REGISTERED})
    raise FormatError(
        f"{where}: architecture {name!r} is not installed; {did_you_mean(name, names)}known: "
        f"{', '.join(names) or 'none'}; one of your own is made known by register_agent"
    )


def installed() -> tuple[str, ...]:
    """Names of the architectures that installed packages bring, `vrlprobe` itself included."""
    return tuple(sorted(entry_points(group=GROUP).names))


def register(name: str, kind: Any) -> None:
    """Make an architecture known to this process; an earlier one of that name is replaced.

    Raises:
        FormatError: an installed package has the name.
    """
    if name in entry_points(group=GROUP).names:
        raise FormatError(f"architecture {name!r} is installed already: choose another name")
    _REGISTERED[name] = kind


def registered(name: Any) -> Any:
    """What was registered under a name, None where nothing was."""
    return _REGISTERED.get(str(name))
