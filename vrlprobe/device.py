"""Where networks run: the processor, or an accelerator by torch's name for it."""

import torch
from torch import nn

from vrlprobe.errors import DeviceError


def check_device(name: str) -> None:
    """Raise DeviceError where torch cannot compute on such a device."""
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: torch built without it
        reason = str(error).splitlines()[0]
        raise DeviceError(f"device {name!r} cannot be used here: {reason}") from None


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are; the processor if it has none."""
    return next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
