"""Where a training's time goes: the parts of its loop by name, timed from outside.

Nothing in the trainer knows of this. While a stopwatch watches, the methods below are wrapped; at
other times they are as they were.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.runs.writer import RunWriter
from vrltrain import replay, run
from vrltrain.drqv2 import Learner
from vrltrain.replay import Replay
from vrltrain.train import Training

PHASES: Mapping[str, tuple[tuple[Any, str], ...]] = {
    "physics": ((PixelEnv, "step"), (PixelEnv, "reset")),
    "rendering": ((PixelEnv, "render"),),
    "acting": ((Training, "choose"),),
    "sampling": ((Replay, "sample"),),
    "augmentation": ((replay, "crop"),),
    "encoder": ((Learner, "encode"), (Learner, "encoder_gradients")),
    "critic": ((Learner, "target"), (Learner, "critic_gradients")),
    "actor": ((Learner, "actor_gradients"),),
    "optimizer": ((Learner, "descend"),),
    "target update": ((Learner, "update_target"),),
    "perturbation": ((Training, "perturb"),),
    "evaluation": ((Training, "evaluate"),),
    "gradient norm": ((Training, "norm_batch"), (Training, "log_row")),
    "writing": ((Replay, "add"), (run, "save_state"), (RunWriter, "commit"), (run, "prune_states")),
    "other": (),
}
"""Phase to the functions whose time it is, less that of other phases inside them."""

WHOLE = frozenset(("perturbation", "evaluation", "gradient norm", "writing"))
"""Phases that keep the time of those inside them: an evaluation renders, too."""


@dataclass
class Seconds:
    """Time that passed, and processor time of this process, in seconds."""

    wall: float = 0.0
    cpu: float = 0.0

    def scaled(self, factor: float) -> "Seconds":
        """So many times as long."""
        return Seconds(self.wall * factor, self.cpu * factor)

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)


@dataclass
class Stopwatch:
    """Time by phase; inside a phase that another one calls, only the inner one runs."""

    spent: defaultdict[str, Seconds] = field(default_factory=lambda: defaultdict(Seconds))
    _open: list[str] = field(default_factory=list)
    _wall: float = 0.0
    _cpu: float = 0.0

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Time every phase until the end of the block; what belongs to none is `other`."""
        originals = [
            (owner, name, getattr(owner, name))
            for methods in PHASES.values()
            for owner, name in methods
        ]
        for phase, methods in PHASES.items():
            for owner, name in methods:
                setattr(owner, name, self._timed(phase, getattr(owner, name)))
        self._enter("other")
        try:
            yield
        finally:
            self._leave()
            for owner, name, original in originals:
                setattr(owner, name, original)

    def _timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._enter(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return timed

    def _enter(self, phase: str) -> None:
        self._account()
        inside = self._open and self._open[-1] in WHOLE
        self._open.append(self._open[-1] if inside else phase)

    def _leave(self) -> None:
        self._account()
        self._open.pop()

    def _account(self) -> None:
        """Give the time since the last call to the phase that was running."""
        wall, cpu = time.perf_counter(), time.process_time()
        if self._open:
            spent = self.spent[self._open[-1]]
            spent.wall += wall - self._wall
            spent.cpu += cpu - self._cpu
        self._wall, self._cpu = wall, cpu


@contextmanager
def stopped() -> Iterator[Seconds]:
    """The time of a block as a whole, nothing wrapped; filled in at its end."""
    total, wall, cpu = Seconds(), time.perf_counter(), time.process_time()
    yield total
    total.wall, total.cpu = time.perf_counter() - wall, time.process_time() - cpu
