"""How fast this machine multiplies matrices and moves memory: what floors are measured by."""

import math
import time
from collections.abc import Callable

import numpy as np
import torch

from vrltrain.costs import Cost

MATRIX_SIDE = 1024
REPEATS = 10
LARGEST_COPY = 2**28


class Machine:
    """Measured rates, each the best of some repeats on torch's threads, when first asked for.

    Attributes:
        matrix_rates: operations per second of square products, by precision.
        copy_rates: bytes per second, read and written, by bytes moved in one copy: what fits into a
            cache moves faster.
    """

    def __init__(self) -> None:
        self.matrix_rates: dict[str, float] = {}
        self.copy_rates: dict[int, float] = {}

    def seconds(self, cost: Cost) -> float:
        """The least time of a cost, with moving and computing overlapped as well as can be."""
        computing = sum(
            count / self._matrix_rate(precision) for precision, count in cost.products.items()
        )
        moving = cost.bytes and cost.bytes / self._copy_rate(cost.bytes / cost.times)
        return cost.times and max(computing, moving)

    def _matrix_rate(self, precision: str) -> float:
        if precision not in self.matrix_rates:
            seconds = _best(_product(precision))
            self.matrix_rates[precision] = 2 * MATRIX_SIDE**3 / seconds
        return self.matrix_rates[precision]

    def _copy_rate(self, moved: float) -> float:
        size = min(2 ** max(math.ceil(math.log2(moved)), 1), LARGEST_COPY)
        if size not in self.copy_rates:
            source = torch.ones(size // 2, dtype=torch.uint8)
            target = torch.zeros_like(source)
            self.copy_rates[size] = size / _best(lambda: target.copy_(source))
        return self.copy_rates[size]


def speedup(precision: str, other: str) -> float:
    """How many times as fast square products are in one precision as in another.

    The median over pairs timed one after the other: what disturbs one disturbs both.
    """
    calls = _product(precision), _product(other)
    pairs = [[_seconds(call) for call in calls] for _ in range(REPEATS + 1)]
    return float(np.median([slow / fast for fast, slow in pairs[1:]]))


def _product(precision: str) -> Callable[[], object]:
    left, right = torch.rand(2, MATRIX_SIDE, MATRIX_SIDE).to(getattr(torch, precision))
    out = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=out)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _best(call: Callable[[], object]) -> float:
    return min(_seconds(call) for _ in range(REPEATS))
