"""Reads a pickle as a description: objects become stand-ins, and nothing they name is imported."""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, ClassVar, Self

from vrlprobe.checkpoints.names import KNOWN
from vrlprobe.errors import FormatError, UnsafeFileError, VrlprobeError

MAX_BYTES = 64 << 20
"""Of a pickle without its tensors; that of a DrQ-v2 agent has 20 kB."""
MAX_DEPTH = 20
"""Of tuples in tuples; that of a DrQ-v2 agent has 3."""
PUTS = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
GETS = ("GET", "BINGET", "LONG_BINGET")
HASHED = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET")


class Inert:
    """What a pickle says of an object: its class by name, what it is made from, its state.

    There is a subclass for every name in a pickle, so that one cannot change another's.
    """

    path: ClassVar[str] = ""
    args: tuple[Any, ...]
    state: Any
    items: dict[Any, Any]

    def __new__(cls, *args: Any, **_: Any) -> Self:
        """Write down the arguments of a class or function that is not there."""
        self = super().__new__(cls)
        self.args, self.state, self.items = args, None, {}
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, value: Any) -> None:
        """As a deque is filled; what it holds is none of an agent's."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value


class _Unpickler(pickle.Unpickler):
    """Knows no classes but stand-ins; a name that is not in `KNOWN` ends the reading."""

    def __init__(self, data: bytes, where: str, storage: Callable[[Any], Any]) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._where, self._storage = where, storage
        self._classes: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> type[Inert]:
        """A stand-in for a known name; raises UnsafeFileError for any other."""
        path = f"{module}.{name}"
        if path not in KNOWN:
            raise UnsafeFileError(
                f"{self._where} names {path!r}, which is no part of an agent read here "
                "(docs/import.md): not read, and nothing of it was run"
            )
        return self._classes.setdefault(path, type("Stranger", (Inert,), {"path": path}))

    def persistent_load(self, pid: Any) -> Any:
        """A tensor's storage."""
        return self._storage(pid)


def unpickle(data: bytes, where: str, storage: Callable[[Any], Any]) -> Any:
    """What a pickle describes, as numbers, texts, lists, tuples, dicts and `Inert` objects.

    Args:
        data: the pickle.
        where: begins every error's message.
        storage: gives what a persistent id stands for.

    Raises:
        UnsafeFileError: a name that no known checkpoint has, or a pickle made to exhaust memory.
        FormatError: it is damaged, or no pickle.
    """
    try:
        _check_opcodes(data, where)
        return _Unpickler(data, where, storage).load()
    except VrlprobeError:
        raise
    except Exception as error:  # a damaged or hostile pickle can raise nearly anything
        text = " ".join(str(error).split())[:200]
        raise FormatError(f"{where}: damaged, or no checkpoint ({text})") from None


def pickle_length(data: bytes, start: int) -> int:
    """Bytes of the pickle that begins at `start`, found without loading it."""
    stream = io.BytesIO(data)
    stream.seek(start)
    for _ in pickletools.genops(stream):
        pass
    return stream.tell() - start


def _check_opcodes(data: bytes, where: str) -> None:
    """Refuse what takes the unpickler memory or time out of proportion to the file.

    A memo is as long as its largest index says. The hash of a tuple of tuples, each in the next one
    twice, takes for ever, so the tuples' depth is followed as a stack machine would.
    """
    if len(data) > MAX_BYTES:
        raise UnsafeFileError(f"{where}: a pickle of {len(data)} bytes, the limit is {MAX_BYTES}")
    stack: list[int | None] = []  # how deep each object's tuples are; None is a mark
    memo: dict[int, int | None] = {}
    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in PUTS:
            index = len(memo) if argument is None else int(str(argument))
            if index > len(data):
                raise UnsafeFileError(f"{where}: its pickle counts {index} objects; not read")
            memo[index] = stack[-1]
        elif name in GETS:
            stack.append(memo[int(str(argument))])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            inside = _taken(stack, opcode)
            depth = 1 + max(inside, default=0) if name in HASHED else 0
            if depth > MAX_DEPTH:
                raise UnsafeFileError(f"{where}: tuples {depth} deep in its pickle; not read")
            stack += [None if name == "MARK" else depth for _ in opcode.stack_after]


def _taken(stack: list[int | None], opcode: pickletools.OpcodeInfo) -> list[int]:
    """Take from the stack what an opcode takes."""
    before = list(opcode.stack_before)
    taken: list[int] = []
    if pickletools.stackslice in before:
        while (top := stack.pop()) is not None:
            taken.append(top)
        before = before[: before.index(pickletools.markobject)]
    return taken + [stack.pop() or 0 for _ in before]
