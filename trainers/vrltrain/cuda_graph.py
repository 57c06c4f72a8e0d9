"""Work on a GPU that is recorded once, as a CUDA graph, and then started as a whole.

At the published sizes an update is several hundred kernels, many of a few microseconds: a processor
takes longer to start them one by one than the GPU to run them.
"""

import gc
from collections.abc import Callable

import torch
from torch import Tensor

from vrlprobe.errors import VrlprobeError

WARM_CALLS = 3
"""Calls before the recording, in which libraries choose kernels and take their memory."""

Recorder = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes work and gives a way to do the same again: the same kernels on the same memory."""


def cuda_graph(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record work on a GPU as a CUDA graph; nothing of it is done before the graph is started.

    Raises:
        VrlprobeError: CUDA or a library does not take part of the work into a graph.
        OutOfMemoryError: the GPU has no room for it.
    """
    gc.collect()  # an old graph that is freed meanwhile would spoil this one
    try:
        graph = torch.cuda.CUDAGraph()
        before = torch.cuda.current_stream(device)
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        try:
            with torch.cuda.device(device), torch.cuda.graph(graph, stream=stream):
                work()
        finally:
            torch.cuda.set_stream(before)  # the graph's stream stays the current one on failure
    except RuntimeError as error:
        cause = _first(error)
        if isinstance(cause, torch.OutOfMemoryError):
            raise cause from None
        reason = str(cause).partition("\n")[0]
        raise VrlprobeError(
            f"an update cannot be recorded on {device}: {reason}; train with `cuda_graph=False`"
        ) from error
    return graph.replay


def _first(error: BaseException) -> BaseException:
    """The error that others came of: a capture that ends early says nothing of why."""
    while error.__context__ is not None:
        error = error.__context__
    return error


class Recorded:
    """Work that is done from a recording after the first few calls.

    Args:
        work: takes tensors of the same shapes at every call. All else that it reads or writes stays
            at its place in memory between calls, and nothing that it does depends on a value.
        record: what makes the recording.
    """

    def __init__(self, work: Callable[..., None], record: Recorder) -> None:
        self._work, self._record = work, record
        self._calls = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._again: Callable[[], None] | None = None

    def __call__(self, *inputs: Tensor) -> None:
        """Do the work on these inputs."""
        self._calls += 1
        if self._calls <= WARM_CALLS:
            self._work(*inputs)
            return
        if self._again is None:
            self._inputs = tuple(torch.empty_like(given) for given in inputs)
            self._again = self._record(lambda: self._work(*self._inputs))
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        self._again()
