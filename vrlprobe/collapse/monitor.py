"""Watches a training of one's own for action collapse, whatever trains it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt

from vrlprobe import metrics as measure
from vrlprobe._checks import check_at_least
from vrlprobe.collapse.indicators import (
    ACTION_STD,
    GRADIENT,
    INDICATORS,
    Indicator,
    check_indicators,
)
from vrlprobe.collapse.rule import CONSECUTIVE, Attempt, Rule
from vrlprobe.collapse.verdict import Verdict, judge
from vrlprobe.probes.arrays import ArrayLike, numbers

TRAIN_RETURN = "train_return"


class CollapseMonitor:
    """Reads a training at its evaluations, judges it, and says when the reset rule would fire.

    Read it from the first update on: networks as they were drawn look collapsed.

    Args:
        window: frames until the exploration noise has reached its minimum: an agent in collapse is
            stuck from there on, and the rule decides there (paper, section 5.2).
        indicator: the metric that the rule reads, and its threshold.
        consecutive: measurements in a row on its healthy side that let an attempt go on.
        indicators: the metrics that a verdict is made of; the first decides.

    Attributes:
        attempt: the training from scratch in progress, 1 at first.

    Raises:
        ValueError: a window or a number of measurements below 1, no indicators, or what is none.
    """

    def __init__(
        self,
        window: int,
        *,
        indicator: Indicator = GRADIENT,
        consecutive: int = CONSECUTIVE,
        indicators: Sequence[Indicator] = INDICATORS,
    ) -> None:
        check_at_least(1, window=window, consecutive=consecutive)
        check_indicators(indicators)
        self._rule = Rule(window, indicator, consecutive)
        self._indicators = tuple(indicators)
        self.attempt, self._begun = 1, 0
        self._rows: list[dict[str, float]] = []

    def read(
        self,
        frame: int,
        *,
        actions: ArrayLike,
        grad_norm: Mapping[str, SupportsFloat] | None = None,
        activations: Mapping[str, ArrayLike] | None = None,
        train_return: SupportsFloat | None = None,
    ) -> dict[str, float]:
        """Take a measurement.

        Args:
            frame: of the environment, counted on through resets; above the last one.
            actions: mean actions (n, n_actions) in [-1, 1] for some hundred observations that
                differ, of the replay for instance, the same ones at every measurement if possible.
            grad_norm: by layer, the norm of its weights' gradient under the actor's loss.
            activations: by layer, (n, n_units), for the same observations. The default indicators
                read `mlp1` and `mlp2`, the actor's hidden layers; other names are measured, too.
            train_return: mean return of the training episodes since the last measurement.

        Returns:
            The numbers by name, `action_spread`, `grad_norm[mlp1]` …, to be logged; NaN of actions
            or activations that are NaN or infinite, with a warning where actions are.

        Raises:
            ValueError: a frame that is not above the last one, arrays of another shape, or values
                without the names of their layers.
        """
        check_at_least(self._last + 1, frame=frame)
        _check_by_layer(grad_norm=grad_norm, activations=activations)
        acted = _matrix("actions", actions)
        row = {
            ACTION_STD.name: measure.action_std(acted),
            "saturated_share": measure.saturated_share(acted),
        }
        row |= {f"grad_norm[{layer}]": float(norm) for layer, norm in (grad_norm or {}).items()}
        for layer, values in (activations or {}).items():
            found = measure.layer_metrics(_matrix(f"activations of {layer}", values))
            row |= {f"{name}[{layer}]": value for name, value in found.items()}
        if train_return is not None:
            row[TRAIN_RETURN] = float(train_return)
        row = {name: float(value) for name, value in row.items()}
        self._rows.append({"frame": int(frame), **row})
        if diverged := self._diverged:
            warnings.warn(diverged, stacklevel=2)
        return row

    @property
    def verdict(self) -> Verdict:
        """On the attempt in progress: healthy, escaped, stuck or undecided, and why.

        Undecided where the last actions were NaN or infinite.
        """
        frames = np.array([row["frame"] for row in self._rows], np.int64)
        names = {*(name for row in self._rows for name in row), self._indicators[0].name} - {
            "frame"
        }
        values = {
            name: np.array([row.get(name, np.nan) for row in self._rows], np.float64)
            for name in names
        }
        found = judge(frames, values, self._begun + self._rule.window, self._indicators)
        if diverged := self._diverged:
            return replace(found, word="undecided", frame=None, reason=diverged)
        return found

    @property
    def _diverged(self) -> str:
        """That the actions of the last measurement are no numbers, if so."""
        if not self._rows or np.isfinite(self._rows[-1][ACTION_STD.name]):
            return ""
        return f"the training diverged: its actions are NaN or infinite at frame {self._last:,}"

    @property
    def should_reset(self) -> bool:
        """Whether the reset rule gives the attempt up: its window is over and showed no life.

        Stays so until `reset`; never so where the rule's metric was not read.
        """
        name = self._rule.indicator.name
        measurements = [(int(row["frame"]), row.get(name, float("nan"))) for row in self._rows]
        known = any(np.isfinite(value) for _, value in measurements)
        return known and Attempt(self.attempt, self._begun, measurements).fails(self._rule)

    def reset(self, frame: int) -> None:
        """Begin the next attempt; the networks, the replay and the noise are the caller's."""
        check_at_least(self._last, frame=frame)
        self.attempt, self._begun, self._rows = self.attempt + 1, int(frame), []

    @property
    def _last(self) -> int:
        return int(self._rows[-1]["frame"]) if self._rows else self._begun

    def state_dict(self) -> dict[str, Any]:
        """What goes into a checkpoint of the training; JSON will do, too."""
        return {
            "attempt": self.attempt,
            "begun": self._begun,
            "rows": [dict(row) for row in self._rows],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint of the training.

        Raises:
            ValueError: it is no state of a monitor.
        """
        if lost := [name for name in self.state_dict() if name not in state]:
            raise ValueError(f"no state of a CollapseMonitor: it has no {lost[0]!r}")
        self.attempt, self._begun = int(state["attempt"]), int(state["begun"])
        self._rows = [dict(row) for row in state["rows"]]


def _check_by_layer(**arguments: Any) -> None:
    """Raise ValueError for values that are not named by layer; None is taken as none."""
    for name, values in arguments.items():
        if not isinstance(values, Mapping | None):
            raise ValueError(
                f'{name} is by layer, {{"mlp1": …}}, not a {type(values).__name__} alone'
            )


def _matrix(what: str, values: ArrayLike) -> npt.NDArray[np.floating[Any]]:
    found: npt.NDArray[np.floating[Any]] = numbers(values).cpu().numpy()
    if found.ndim != 2 or not found.size:
        raise ValueError(f"{what}: needed (n_samples, n), at least one sample, found {found.shape}")
    return found
