"""What an open run and the record of a finished one have in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr


def describe(run: "LoggedRun") -> dict[str, object]:
    """What a notebook shows of a run."""
    frames = run.frames
    shown = {name: run.config.get(name, "-") for name in ("task", "seed", "profile")}
    span = f", frames {frames[0]:,} to {frames[-1]:,}" if len(frames) else ""
    final = f"{run.returns[-1]:.1f}" if len(frames) else "-"
    return {**shown, "checkpoints": f"{len(frames)}{span}", "return": final, "state": run.state}


class LoggedRun(Protocol):
    """A training known by its settings, log and returns: an open `Run`, or a `Record`.

    Analyses that read no networks (`collapse`, `cohort`, `compare`, `forecast`, `survival`) take
    either.
    """

    @property
    def path(self) -> Path:
        """The file it was read from."""

    @property
    def name(self) -> str:
        """The file's name without its ending."""

    @property
    def state(self) -> str:
        """`growing`, `killed` or `sealed` of a run file; `finished` of a record."""

    @property
    def frames(self) -> NDArray[np.int64]:
        """Environment frames of the checkpoints, (n_checkpoints,), ascending."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The trainer's settings."""

    @property
    def log(self) -> "xr.Dataset":
        """The log; dims `frame` and those of its columns."""

    @property
    def returns(self) -> NDArray[np.float64]:
        """Mean return at each checkpoint, (n_checkpoints,)."""

    @property
    def final_returns(self) -> NDArray[np.float64]:
        """Returns of the last checkpoint's episodes, (n_episodes,)."""

    @property
    def finished(self) -> bool:
        """Whether the last evaluation that was due is there."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the software that trained it."""

    def known_digest(self, frame: int) -> str | None:
        """Digest of the checkpoint at a frame; None where it is not known."""
