"""Time by phase beside the least that the machine needs for it, per 1,000 frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vrlprobe._text import aligned
from vrltrain.config.settings import TrainConfig
from vrltrain.costs import Cost
from vrltrain.machine import Machine
from vrltrain.phases import PHASES, Seconds


@dataclass(frozen=True)
class Part:
    """Work that a training repeats: its time by phase and, measured apart, as a whole."""

    spent: Mapping[str, Seconds]
    whole: Seconds


@dataclass(frozen=True)
class Phase:
    """One phase.

    Attributes:
        name: one of `vrltrain.phases.PHASES`.
        seconds: measured.
        cost: what it must at least compute and move; None where that is not counted.
        floor: seconds of the operations or of the bytes, whichever takes longer.
    """

    name: str
    seconds: Seconds
    cost: Cost | None = None
    floor: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times its floor it takes."""
        return self.seconds.wall / self.floor if self.floor else None

    def stored(self) -> dict[str, Any]:
        """The phase for a program; None where there is no count."""
        return {
            "name": self.name,
            "seconds": self.seconds.wall,
            "cpu_seconds": self.seconds.cpu,
            "operations": self.cost.operations if self.cost else None,
            "bytes": self.cost.bytes if self.cost else None,
            "floor_seconds": self.floor,
            "ratio": self.ratio,
        }


@dataclass(frozen=True)
class Breakdown:
    """Where the time of 1,000 frames goes.

    Attributes:
        phases: all of them, `other` last.
        unbroken: the same work timed as a whole, without a stopwatch inside.
        updates: how many were timed by phase, and as many as a whole.
        config: the training's settings, its precision resolved.
        machine: the rates behind the floors.
    """

    phases: Sequence[Phase]
    unbroken: Seconds
    updates: int
    config: TrainConfig
    machine: Machine

    @property
    def total(self) -> Seconds:
        """The sum of the phases."""
        return sum((phase.seconds for phase in self.phases), Seconds())

    @property
    def waiting(self) -> float:
        """Share of the time in which this process did not run."""
        return 1 - self.unbroken.cpu / self.unbroken.wall

    def stored(self) -> dict[str, Any]:
        """Everything for a program: seconds per 1,000 frames, rates per second."""
        total = self.total
        return {
            "config": self.config.stored(),
            "phases": [
                {**phase.stored(), "share": phase.seconds.wall / total.wall}
                for phase in self.phases
            ],
            "total_seconds": total.wall,
            "total_cpu_seconds": total.cpu,
            "unbroken_seconds": self.unbroken.wall,
            "unbroken_cpu_seconds": self.unbroken.cpu,
            "frames_per_second": 1000 / self.unbroken.wall,
            "updates": self.updates,
            "operations_per_second": self.machine.matrix_rates,
            "bytes_per_second": self.machine.copy_rates,
        }


def break_down(
    parts: Sequence[Part], costs: Mapping[str, Cost], updates: int, config: TrainConfig
) -> Breakdown:
    """A breakdown from a training's parts and what its phases must do, per 1,000 frames."""
    machine = Machine()
    phases = []
    for name in PHASES:
        seconds = sum((part.spent.get(name, Seconds()) for part in parts), Seconds())
        cost = costs.get(name)
        if seconds.wall:
            phases.append(Phase(name, seconds, cost, machine.seconds(cost) if cost else None))
    unbroken = sum((part.whole for part in parts), Seconds())
    return Breakdown(phases, unbroken, updates, config, machine)


def describe(found: Breakdown) -> str:
    """A breakdown for a person: a heading, the table, and what it leaves out."""
    config, total = found.config, found.total
    lines = [
        f"{config.task}, {config.profile}, {config.precision}: {1000 / found.unbroken.wall:.1f} "
        f"frames/s; {found.updates} updates by phase, as many as a whole",
        "",
        aligned([_line(phase, total) for phase in found.phases]),
        "",
        f"all phases {_ms(total.wall)} ms per 1,000 frames; the same work timed as a whole "
        f"{_ms(found.unbroken.wall)} ms ({total.wall / found.unbroken.wall - 1:+.1%})",
        "floor: " + ", ".join(_rates(found.machine)),
    ]
    return "\n".join(lines)


def _line(phase: Phase, total: Seconds) -> dict[str, str]:
    return {
        "per 1,000 frames": phase.name,
        "ms": _ms(phase.seconds.wall),
        "of it CPU": _ms(phase.seconds.cpu),
        "share": f"{phase.seconds.wall / total.wall:.1%}",
        "floor, ms": "" if phase.floor is None else _ms(phase.floor),
        "x floor": "" if phase.ratio is None else f"{phase.ratio:.3g}",
    }


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f}"


def _rates(machine: Machine) -> list[str]:
    products = [
        f"{rate / 1e9:.0f} billion operations/s in {precision}"
        for precision, rate in machine.matrix_rates.items()
    ]
    low, high = min(machine.copy_rates.values()), max(machine.copy_rates.values())
    return [*products, f"{low / 1e9:.1f} to {high / 1e9:.1f} GB/s copied, by size"]
