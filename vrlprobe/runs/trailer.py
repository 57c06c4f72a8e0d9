"""A checksum of a whole file behind its end, where HDF5 and netCDF readers do not look.

Results have no checksums of their own: HDF5 reads a flipped bit as another number, and a page of
zeros can keep it busy for ever.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from vrlprobe.errors import IntegrityError

MARK = b"vrlprobe sha256:"
LENGTH = len(MARK) + hashlib.sha256().digest_size
PIECE = 1 << 20


def trailer(content: bytes | memoryview) -> bytes:
    """What is written behind a file of this content: its checksum."""
    return MARK + hashlib.sha256(content).digest()


def check_trailer(path: Path) -> None:
    """Hold a file against its checksum; one that has none, of another program, is not looked at.

    Raises:
        IntegrityError: it has other bytes than those that were written.
    """
    with path.open("rb") as file:
        size = path.stat().st_size - LENGTH
        file.seek(max(size, 0))
        found = file.read()
        if found[: len(MARK)] != MARK:
            return
        file.seek(0)
        if MARK + _digest(file, size) != found:
            raise IntegrityError(f"{path} is damaged, its bytes are not as written: make it again")


def _digest(file: BinaryIO, size: int) -> bytes:
    """Of the next `size` bytes, which are left behind."""
    digest = hashlib.sha256()
    while piece := file.read(min(PIECE, size)):
        digest.update(piece)
        size -= len(piece)
    return digest.digest()
