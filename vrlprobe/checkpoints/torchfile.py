"""Files written by `torch.save`: the pickle as a description, its tensors as arrays.

Both formats are read here, the zip archive of torch 1.6 and later and the stream before it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vrlprobe.checkpoints.archive import Archive, is_zip
from vrlprobe.checkpoints.inert import Inert, pickle_length, unpickle
from vrlprobe.errors import FormatError, VrlprobeError

DTYPES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "<u2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ByteStorage": "|u1",
    "torch.BoolStorage": "|b1",
}
MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""A stream of torch before 1.6 begins with a pickle of this number."""
MOST_STEPS = 1 << 48
MOST_NUMBERS = 1 << 27
"""In all tensors together: one storage of a file can be in a thousand of them."""
LFS = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a tensor's numbers lie, as the pickle says; looked for when the tensor is read."""

    read: Callable[[str], bytes]
    key: str
    kind: str
    numel: int


def load_torch(file: Path | BinaryIO, where: str) -> Any:
    """What a file written by `torch.save` describes (see `inert.unpickle`).

    Args:
        file: a path, or an open binary file.
        where: begins every error's message.

    Raises:
        UnsafeFileError: it asks for a name that no known checkpoint has, or is a bomb.
        FormatError: it is damaged, or not such a file.
    """
    if is_zip(file):
        return _load_zip(Archive(file, where), where)
    data = file.read_bytes() if isinstance(file, Path) else file.read()
    if data.startswith(LFS):
        raise FormatError(f"{where}: a pointer of Git LFS, not the file: fetch it (git lfs pull)")
    if MAGIC not in data[:32]:
        raise FormatError(f"{where}: neither a file of torch.save nor another known checkpoint")
    return _load_stream(data, where)


def _load_zip(archive: Archive, where: str) -> Any:
    names = [name for name in archive.names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(names) != 1:
        told = "without data.pkl" if not names else f"with {len(names)} data.pkl"
        raise FormatError(f"{where}: a zip file {told}, so not one of torch.save")
    top = names[0].rpartition("/")[0]
    order = f"{top}/byteorder"
    if order in archive.names and archive.read(order) != b"little":
        raise FormatError(f"{where}: written on a big-endian machine; such files are not read")
    read = _reader(lambda key: archive.read(f"{top}/data/{key}"))
    return unpickle(archive.read(names[0]), where, read)


def _load_stream(data: bytes, where: str) -> Any:
    """Pickles of a number, version, system, the object, its storages' keys; then the numbers."""
    place = 0
    spans = []
    try:
        for _ in range(5):
            spans.append(slice(place, place + pickle_length(data, place)))
            place = spans[-1].stop
    except Exception:  # as in `inert.unpickle`
        raise FormatError(f"{where}: damaged or cut off") from None
    storages: dict[str, bytes] = {}

    def bytes_of(key: str) -> bytes:
        return storages[key]

    root = unpickle(data[spans[3]], where, found := _Collected(_reader(bytes_of)))
    keys = unpickle(data[spans[4]], where, found)
    for key in keys if isinstance(keys, list) else []:
        kind = found.kinds.get(key) if isinstance(key, str) else None
        count = int.from_bytes(data[place : place + 8], "little")
        size = count * np.dtype(DTYPES.get(str(kind), "|u1")).itemsize
        if kind is None or place + 8 + size > len(data):
            raise FormatError(f"{where}: damaged or cut off: {len(data)} bytes")
        storages[key] = data[place + 8 : place + 8 + size]
        place += 8 + size
    return root


class _Collected:
    """Makes storages and remembers each one's type, which a stream says nowhere else."""

    def __init__(self, make: Callable[[Any], Storage]) -> None:
        self._make = make
        self.kinds: dict[str, str] = {}

    def __call__(self, pid: Any) -> Any:
        if pid[0] == "module":  # a module's class, its source file and text
            return pid[1]
        storage = self._make(pid)
        self.kinds[storage.key] = storage.kind
        return storage


def _reader(read: Callable[[str], bytes]) -> Callable[[Any], Storage]:
    def storage(pid: Any) -> Storage:
        name, kind, key, _, numel, *view = pid
        if name != "storage" or any(view) or kind.path not in DTYPES:
            raise ValueError("a tensor of a kind that is not read here")
        return Storage(read, str(key), kind.path, int(numel))

    return storage


def check_numbers(count: int, where: str) -> None:
    """Raise FormatError for more numbers than any agent has."""
    if count > MOST_NUMBERS:
        raise FormatError(f"{where}: more than {MOST_NUMBERS} numbers, no agent has so many")


def is_tensor(node: Any) -> bool:
    """Whether a described object is a tensor or a parameter."""
    return isinstance(node, Inert) and node.path.startswith("torch._utils._rebuild_")


def tensor_array(node: Any, what: str) -> NDArray[Any]:
    """The numbers of a described tensor or parameter; floating ones as float32.

    Args:
        node: for which `is_tensor` holds.
        what: its name, which begins the message of an error.

    Raises:
        FormatError: what the pickle says of it does not fit what the file holds.
    """
    try:
        if node.path.endswith("_parameter"):
            node = node.args[0]
        storage, offset, size, strides = node.args[:4]
        return _view(storage, offset, tuple(size), tuple(strides))
    except VrlprobeError:
        raise
    except Exception as error:  # as in `inert.unpickle`
        text = " ".join(str(error).split())[:120]
        raise FormatError(f"{what}: a damaged tensor ({text})") from None


def _view(
    storage: Storage, offset: int, size: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[Any]:
    dtype = np.dtype(DTYPES[storage.kind])
    raw = storage.read(storage.key)
    if len(raw) != storage.numel * dtype.itemsize:
        raise ValueError(f"{len(raw)} bytes for {storage.numel} numbers")
    numbers = np.frombuffer(raw, dtype)
    steps = zip(size, strides, strict=True)
    last = offset + sum((n - 1) * step for n, step in steps if n > 0)
    if min(offset, *size, *strides, 0) < 0 or math.prod(size) > len(numbers) - offset:
        raise ValueError(f"shape {size} in a storage of {len(numbers)} numbers")
    if math.prod(size) and last >= len(numbers):
        raise ValueError(f"shape {size} with strides {strides} in {len(numbers)} numbers")
    if storage.kind == "torch.BFloat16Storage":
        numbers = (numbers.astype("<u4") << 16).view("<f4")
    inside = numbers[offset:]
    view = np.lib.stride_tricks.as_strided(
        inside, size, tuple(step * inside.itemsize for step in strides), writeable=False
    )
    return np.array(view, np.float32 if view.dtype.kind == "f" else view.dtype, order="C")


def whole_number(node: Any) -> int | None:
    """A described count, of Python's or of numpy's; None where it is none, or below 0."""
    if isinstance(node, Inert) and node.path.endswith("multiarray.scalar"):
        node = _scalar(node)
    if isinstance(node, bool) or not isinstance(node, int) or not 0 <= node < MOST_STEPS:
        return None
    return node


def _scalar(node: Inert) -> int | None:
    """A whole number of numpy's: its type, and its bytes, which Python 2's pickles have as text."""
    match node.args:
        case (Inert(args=(str(code), *_)), Inert(args=(str(text), *_)) | bytes(text)):
            data = text.encode("latin1") if isinstance(text, str) else text
            if re.fullmatch("[iu][1248]", code) and len(data) == int(code[1]):
                return int.from_bytes(data, "little", signed=code[0] == "i")
    return None


def mapping(node: Any) -> Mapping[str, Any]:
    """A described dict or OrderedDict as a dict of the entries whose keys are texts."""
    entries = node.items if isinstance(node, Inert) else node
    if isinstance(node, Inert) and not entries and node.args:  # as Python 2 pickled them
        first = node.args[0]
        entries = {pair[0]: pair[1] for pair in first} if isinstance(first, list) else {}
    if not isinstance(entries, dict):
        return {}
    return {key: value for key, value in entries.items() if isinstance(key, str)}


def beside(root: Any, key: str) -> Any:
    """What a described state dict's `_metadata` holds under a key, None where it has none."""
    state = root.state if isinstance(root, Inert) else None
    return mapping(mapping(state).get("_metadata")).get(key)
