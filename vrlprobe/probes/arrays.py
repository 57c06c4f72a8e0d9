"""What comes in: numpy or torch, any number type, to checked tensors on the device of the work."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vrlprobe.device import check_device, read_only

ArrayLike = npt.ArrayLike | Tensor

SMALL = (
    *(torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16),
    *(torch.float16, torch.bfloat16),
)
"""Types all of whose values are float32's, too."""

BLOCK = {"cpu": 1 << 17, "cuda": 1 << 26}
"""Elements handled at a time: what fits a processor core's cache, what keeps a GPU busy."""


def numbers(values: ArrayLike, otherwise: torch.dtype | None = None) -> Tensor:
    """The values as they are when float32 or float64, else converted; memory is shared.

    Other types become ``otherwise``, or float32 where it holds all their values and float64
    elsewhere: time stamps as int64 lose their last digits in float32.

    Raises ValueError for what is no real numbers.
    """
    tensor = values.detach() if isinstance(values, Tensor) else _of_array(np.asarray(values))
    if tensor.dtype in (torch.float32, torch.float64):
        return tensor
    if tensor.dtype.is_complex:
        raise ValueError(f"needed real numbers, found {tensor.dtype}")
    return tensor.to(otherwise or (torch.float32 if tensor.dtype in SMALL else torch.float64))


def _of_array(array: npt.NDArray[Any]) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"needed real numbers, found {array.dtype}")
    if array.dtype.itemsize > 8:  # a longdouble, which torch has not
        array = array.astype(np.float64)
    if not array.dtype.isnative or any(step < 0 for step in array.strides):
        array = array.astype(array.dtype.newbyteorder("="))
    return read_only(array)


def training_and_heldout(
    X: ArrayLike,
    Y: ArrayLike,
    heldout: Mapping[str, tuple[ArrayLike, ArrayLike]] | None,
    device: str | torch.device | None,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Every set by name, ``"train"`` first: X as it is and Y in float64, two-dimensional.

    They are moved to the device; to that of the training set's X if None. The values of the
    training set's X are not looked at.

    Raises
    ------
    ValueError
        Shapes that do not fit, an empty set, a set that is called "train", held-out sets without
        names, or NaN or infinite values.
    DeviceError
        torch cannot compute on the device.
    """
    if device is not None:
        check_device(device)
    given: Any = heldout
    if not isinstance(given, Mapping | None):
        raise ValueError(
            f'heldout is sets by name, {{"val": (X, Y)}}, not a {type(given).__name__}'
        )
    sets = {"train": _pair("", X, Y, device)}
    data, targets = sets["train"]
    for name, held in (heldout or {}).items():
        if name == "train":
            raise ValueError("the name 'train' is taken by the training set")
        held_x, held_y = sets[name] = _pair(f" of {name!r}", *held, data.device)
        if held_x.shape[1] != data.shape[1] or held_y.shape[1] != targets.shape[1]:
            raise ValueError(
                f"held-out set {name!r} has {held_x.shape[1]} features and {held_y.shape[1]} "
                f"targets, the training set {data.shape[1]} and {targets.shape[1]}"
            )
        refuse_not_finite(f"X of {name!r}", held_x.T)
    return sets


def _pair(
    label: str, X: ArrayLike, Y: ArrayLike, device: str | torch.device | None
) -> tuple[Tensor, Tensor]:
    data, targets = numbers(X), numbers(Y, torch.float64)
    if targets.ndim == 1:
        targets = targets[:, None]
    if data.ndim != 2 or targets.ndim != 2 or len(data) != len(targets):
        raise ValueError(
            f"X{label} must be (n_samples, n_features) and Y (n_samples, n_targets), "
            f"not {tuple(data.shape)} and {tuple(targets.shape)}"
        )
    if not data.numel():
        raise ValueError(f"X{label} is empty: {data.shape[0]} samples, {data.shape[1]} features")
    data = data if device is None else data.to(device)
    targets = targets.to(data.device, torch.float64)
    refuse_spoilt(f"Y{label}", ~torch.isfinite(targets).all(dim=0))
    return data, targets


def refuse_spoilt(name: str, spoilt: Tensor) -> None:
    """Raise ValueError if any column is marked as holding NaN or infinite values."""
    if bool(spoilt.any()):
        raise ValueError(
            f"{name} has NaN or infinite values in {int(spoilt.sum())} of {len(spoilt)} columns, "
            f"the first of them column {int(spoilt.nonzero()[0, 0])}"
        )


def blocks(rows: Tensor, n_rows: int | None = None) -> Iterator[slice]:
    """Slices of the rows of a matrix (or of ``n_rows`` such rows) that make a block each."""
    step = max(1, BLOCK.get(rows.device.type, BLOCK["cuda"]) // max(1, rows.shape[1]))
    total = len(rows) if n_rows is None else n_rows
    return (slice(start, min(start + step, total)) for start in range(0, total, step))


def refuse_not_finite(name: str, columns: Tensor) -> None:
    """Raise ValueError if a column, a row of ``columns``, has NaN or infinite values."""
    peaks = [columns[part].abs().amax(dim=1) for part in blocks(columns)]
    refuse_spoilt(name, ~torch.isfinite(torch.cat(peaks)))
