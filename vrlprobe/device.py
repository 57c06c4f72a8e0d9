"""Where networks run: the processor, or an accelerator by torch's name for it."""

import numpy as np
import torch
from torch import Tensor, nn

from vrlprobe.errors import DeviceError

LONGEST = 100
"""Characters of torch's reason that are shown: it may list all there is."""


def check_device(name: str | torch.device) -> None:
    """Raise DeviceError where torch cannot compute on such a device."""
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch built without it
        reason = str(error).splitlines()[0].partition(". ")[0].partition(" device type at")[0]
        if len(reason) > LONGEST:
            reason = f"{reason[:LONGEST]} …"
        raise DeviceError(f"device {str(name)!r} cannot be used here: {reason}") from None


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are; the processor if it has none."""
    return next((tensor.device for tensor in module.parameters()), torch.device("cpu"))


def send(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Values on a device; a GPU is not waited for, their copy is queued behind its work.

    They go by way of pinned memory, the only kind from which a GPU can fetch by itself.
    """
    tensor = torch.as_tensor(values)
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
