"""Where networks run: the processor, or an accelerator by torch's name for it."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vrlprobe.errors import DeviceError

LONGEST = 100
"""Characters of torch's reason that are shown: it may list all there is."""


def check_device(name: str | torch.device) -> None:
    """Raise DeviceError where torch cannot compute on such a device."""
    if not isinstance(name, str | int | torch.device):
        raise DeviceError(f"a device is a name such as 'cpu' or 'cuda', not {name!r}")
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch built without it
        reason = str(error).splitlines()[0].partition(". ")[0].partition(" device type at")[0]
        if len(reason) > LONGEST:
            reason = f"{reason[:LONGEST]} …"
        raise DeviceError(f"device {str(name)!r} cannot be used here: {reason}") from None


_CUDA, _CUDNN, _MKLDNN = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
_PRODUCTS: tuple[tuple[Any, Any], ...] = (
    (_CUDA.matmul, torch.backends),
    (_CUDNN.conv, None),  # type: ignore[attr-defined]
    (_MKLDNN.matmul, _MKLDNN),  # type: ignore[attr-defined]
    (_MKLDNN.conv, _MKLDNN),  # type: ignore[attr-defined]
)
"""Whose `fp32_precision` says how float32 is multiplied, and whose it takes where its own is none;
that of convolutions on a GPU has one from the start.

Torch's newer settings: they read what a program set by the older ones, too, whose getters raise
where it used both.
"""
_SUMS = ("allow_bf16_reduced_precision_reduction", "allow_fp16_reduced_precision_reduction")


@contextmanager
def full_products() -> Iterator[None]:
    """Products in the precision of their factors and summed in float32, whatever the caller set:
    no autocast, no TF32 (torch's own choice for convolutions on a GPU), no bfloat16 in its place.
    """
    reduced = [
        (owner, "none" if parent and value == parent.fp32_precision else value)
        for owner, parent in _PRODUCTS
        if (value := owner.fp32_precision) not in ("none", "ieee")
    ]
    sums = [(name, value) for name in _SUMS if (value := getattr(_CUDA.matmul, name))]
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        for owner, before in reduced:
            stack.callback(setattr, owner, "fp32_precision", before)
            owner.fp32_precision = "ieee"
        for name, value in sums:
            stack.callback(setattr, _CUDA.matmul, name, value)
            setattr(_CUDA.matmul, name, False)
        yield


@contextmanager
def own_defaults() -> Iterator[None]:
    """Torch as it comes, whatever the caller set: float32, on the processor, with gradients."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    here = nullcontext() if device.type == "cpu" else torch.device("cpu")  # slows every call
    torch.set_default_dtype(torch.float32)
    try:
        with here, torch.inference_mode(False), torch.enable_grad(), full_products():
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Draws of the processor from a seed; its generator goes on as if there had been none.

    `torch.manual_seed` would seed every GPU as well, and what is drawn on one is the caller's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are; the processor if it has none."""
    return next((tensor.device for tensor in module.parameters()), torch.device("cpu"))


def read_only(array: np.ndarray) -> Tensor:
    """A tensor over an array's memory that nothing writes to, so that the array need not be ours.

    torch warns of arrays that cannot be written, such as memory maps.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(array))


def send(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Values on a device; a GPU is not waited for, their copy is queued behind its work.

    They go by way of pinned memory, the only kind from which a GPU can fetch by itself.
    """
    tensor = torch.as_tensor(values)
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
