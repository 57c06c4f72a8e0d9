"""Curves of a run as coordinates of a small SVG chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from vrlprobe.figures.style import thousands

Floats = npt.NDArray[np.float64]
WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 44, 312, 10, 124
"""Of the plotting area, in the chart's units."""


@dataclass(frozen=True)
class Axis:
    """One direction of a chart: values to coordinates, and where the ticks are."""

    low: float
    high: float
    begin: float
    """Coordinate of `low`."""
    end: float
    """Coordinate of `high`."""
    log: bool = False

    def at(self, values: npt.ArrayLike) -> Floats:
        """Coordinates of values, kept inside the axis; NaN stays."""
        found = np.clip(np.asarray(values, np.float64), self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            found, low, high = np.log10(found), np.log10(low), np.log10(high)
        share = (found - low) / ((high - low) or 1.0)
        place: Floats = self.begin + share * (self.end - self.begin)
        return place

    def ticks(self) -> list[tuple[float, str]]:
        """Coordinate and text of a few ticks."""
        if self.log:
            low, high = np.log10(self.low), np.log10(self.high)
            powers = np.arange(low, high + 0.5, max(1.0, np.ceil((high - low) / 3)))
            return [(float(self.at(10.0**p)), f"1e{p:.0f}" if p else "1") for p in powers]
        step = _round_step((self.high - self.low) / 4)
        values = np.arange(self.low, self.high + step / 100, step)
        return [(float(self.at(v)), thousands(float(v))) for v in values]


def _round_step(rough: float) -> float:
    """The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is not below."""
    if rough <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(rough))
    return float(next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999))


@dataclass(frozen=True)
class Chart:
    """What the template draws."""

    heading: str
    lines: list[dict[str, str]]
    """Label, colour class and SVG path of each."""
    y_ticks: list[tuple[float, str]]
    x_ticks: list[tuple[float, str]]
    spans: list[tuple[float, float]]
    """Left end and width of each stretch of collapse."""
    resets: list[float]
    values: dict[str, list[float | None]] = field(default_factory=dict)
    """By the line's label, a value a checkpoint."""


def chart(
    heading: str,
    frames: Floats,
    curves: Mapping[str, Floats],
    *,
    x: Axis,
    y: Axis,
    spans: Sequence[tuple[int, int]] = (),
    attempts: npt.NDArray[np.int64] | None = None,
) -> Chart:
    """Curves (n_frames,) by label over the frames, with stretches of collapse.

    Args:
        heading: above the chart.
        frames: (n_frames,), of the checkpoints.
        curves: by label, (n_frames,) each.
        x, y: the axes.
        spans: stretches of collapse.
        attempts: (n_frames,), the attempt of each checkpoint: curves break at a reset, which is
            marked at the last checkpoint before it.
    """
    along = x.at(frames)
    numbers = np.ones(len(frames), np.int64) if attempts is None else attempts
    lines = [
        {"label": name, "colour": name or "plain", "path": path(along, y.at(values), numbers)}
        for name, values in curves.items()
    ]
    return Chart(
        heading=heading,
        lines=lines,
        y_ticks=y.ticks(),
        x_ticks=x.ticks(),
        spans=[(float(x.at(a)), float(x.at(b) - x.at(a))) for a, b in spans],
        resets=along[:-1][np.diff(numbers) > 0].tolist(),
        values={name: rounded(values) for name, values in curves.items()},
    )


def path(x: Floats, y: Floats, attempts: npt.NDArray[np.int64]) -> str:
    """An SVG path through the points that are known: gaps are bridged within an attempt.

    A point alone has a line of no length, which round ends make a dot.
    """
    known = np.isfinite(y)
    parts = []
    for number in np.unique(attempts[known]):
        rows = known & (attempts == number)
        points = [f"{a:.1f} {b:.1f}" for a, b in zip(x[rows], y[rows], strict=True)]
        parts.append(f"M{'L'.join(points)}{'h0' if len(points) == 1 else ''}")
    return "".join(parts)


def whole_text(value: float) -> str:
    """A return as the page shows it, `-` where it is unknown."""
    return f"{value:.0f}" if np.isfinite(value) else "-"


def rounded(values: npt.ArrayLike, digits: int = 6) -> list[float | None]:
    """Numbers of so many digits for JSON, None for NaN; more than are shown, to round but once."""
    return [
        float(f"{value:.{digits}g}") if np.isfinite(value) else None
        for value in np.asarray(values, np.float64).tolist()
    ]
