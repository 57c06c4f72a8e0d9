"""One size of the problem: this engine, scikit-learn and the floors, in the same process.

Times are CPU seconds of one thread, so that other work on the machine counts as little as it can;
each is the best of its repeats, taken in turn.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import orthogonal_mp
from torch.nn.functional import linear

from vrlprobe.probes.columns import SCREENING, Columns
from vrlprobe.probes.omp import omp_path

BASE = (24, 50)
TARGET = 14  # the torso's height; each target takes scikit-learn as long
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@dataclass
class Row:
    """What one size gave; seconds, and bytes as multiples of the float32 activations."""

    layer: str
    n: int
    d: int
    K: int
    r: int
    moving: float
    """From the forward pass's batches into a feature-major array."""
    setting_up: float
    """Means, norms and the copy for screening."""
    solve: float
    """All targets' paths."""
    one_pass: float
    """The activations read once."""
    screening: str
    products: float = np.nan
    """r products of the copy with K vectors: the floor of a solver that looks at all columns."""
    float32: float = np.nan
    """Setting up and solving, screened in float32: on a processor without half precision."""
    memory: float = np.nan
    """Largest while it sets up and solves, the activations counted."""
    scikit_learn: float = np.nan
    """K times `orthogonal_mp` of one target in float64, on columns centred and scaled before."""

    def ratios(self) -> dict[str, float]:
        """How many times faster than scikit-learn, and how far from the floor."""
        total = self.moving + self.setting_up + self.solve
        return {
            "x solve": self.scikit_learn / self.solve,
            "x end to end": self.scikit_learn / total,
            "x float32": self.scikit_learn / self.float32,
            "solve / products": self.solve / self.products,
        }

    def stored(self) -> dict[str, float | int | str]:
        """The row and its ratios, for a file."""
        return {**asdict(self), **self.ratios()}


def measure(layer: str, H: torch.Tensor, Y: np.ndarray, sizes: list[tuple[int, int]]) -> list[Row]:
    """Rows for every (K, r) of the sizes on features H (d, n) and targets Y (n, at least K)."""
    d, n = H.shape
    screening = Columns(H.T, 1, "auto").screening
    repeats = 3 if n <= 2000 else 1
    moving, setting_up, one_pass = _best(
        [lambda: _into_place(H), lambda: Columns(H.T, 1, screening), H.sum], 3
    )
    largest = max(sizes)
    rows = []
    for K, r in sizes:

        def solve(kind: str, targets: np.ndarray = Y[:, :K], r: int = r) -> object:
            return omp_path(H.T, targets, r, screening=kind)

        (total,) = _best([lambda: solve("auto")], repeats)
        row = Row(layer, n, d, K, r, moving, setting_up, total - setting_up, one_pass, screening)
        row.products = r * _product(H, K, screening)
        if (K, r) in (BASE, largest):
            (row.float32,) = _best([lambda: solve("float32")], 1)
            row.memory = 1 + _memory(lambda: solve("auto")) / (4 * n * d)
        rows.append(row)
    _scikit_learn(rows, H, Y)
    return rows


def _into_place(H: torch.Tensor) -> torch.Tensor:
    """Batches of (n_batch, d), as a forward pass gives them, into a feature-major array."""
    batch, place = torch.ones((64, len(H))), torch.empty_like(H)
    for start in range(0, H.shape[1], len(batch)):
        part = place[:, start : start + len(batch)]
        part.copy_(batch.T[:, : part.shape[1]])
    return place


def _product(H: torch.Tensor, K: int, screening: str) -> float:
    """Seconds of one product of all columns with K vectors."""
    copy = Columns(H.T, 1, screening).unit
    right = torch.ones((K, H.shape[1]), dtype=SCREENING[screening])
    return _best([lambda: linear(copy, right)], 5)[0]


def _scikit_learn(rows: list[Row], H: torch.Tensor, Y: np.ndarray) -> None:
    """Fill in scikit-learn's times: one target for each r, times K, as it takes them in turn."""
    unit = H.numpy().T.astype(np.float64, order="F")
    unit -= unit.mean(axis=0)
    norm = np.linalg.norm(unit, axis=0)
    unit /= np.where(norm > 1e-6 * norm.max(), norm, np.inf)  # dead columns are never chosen
    target = Y[:, TARGET] - Y[:, TARGET].mean()
    for r in {row.r for row in rows}:
        (seconds,) = _best(
            [lambda r=r: orthogonal_mp(unit, target, n_nonzero_coefs=r, copy_X=False)], 1
        )
        for row in rows:
            if row.r == r:
                row.scikit_learn = row.K * seconds


def _best(work: list[Callable[[], object]], repeats: int) -> list[float]:
    """Least CPU seconds of each, the repeats taken in turn."""
    found = [float("inf")] * len(work)
    for _ in range(repeats):
        for at, call in enumerate(work):
            start = time.process_time()
            call()
            found[at] = min(found[at], time.process_time() - start)
    return found


def _memory(call: Callable[[], object]) -> int:
    """Bytes that it takes at most while it runs.

    The kernel's mark of the peak is set back first (Linux).
    """
    CLEAR.write_text("5")
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
