"""Zip files of strangers: entries are read whole, and only where their size can be true."""

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from vrlprobe.errors import FormatError, UnsafeFileError

MAX_RATIO = 20
"""Networks' weights hardly shrink; a small entry or one of zeros may do so more than this."""
SMALL = 1 << 20


def is_zip(file: Path | BinaryIO) -> bool:
    """Whether a file begins as a zip archive does."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return opened.read(4) == b"PK\x03\x04"
    start = file.read(4)
    file.seek(0)
    return start == b"PK\x03\x04"


class Archive:
    """A zip file whose entries are read by name.

    Raises:
        FormatError: no zip file, or cut off.
        UnsafeFileError: entries that claim more than the file can hold.
    """

    def __init__(self, file: Path | BinaryIO, where: str) -> None:
        self.where = where
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise FormatError(f"{where}: a zip file damaged or cut off ({error})") from None
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        for entry in self._entries.values():
            if entry.file_size > max(SMALL, MAX_RATIO * entry.compress_size):
                raise UnsafeFileError(
                    f"{where}: {entry.filename!r} claims {entry.file_size} bytes from "
                    f"{entry.compress_size} stored; not read"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the entries."""
        return tuple(self._entries)

    def read(self, name: str) -> bytes:
        """An entry's bytes; raises FormatError where there is none, or it is damaged."""
        if name not in self._entries:
            raise FormatError(f"{self.where}: {name!r} is missing")
        try:
            return self._zip.read(self._entries[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError) as e:
            raise FormatError(f"{self.where}: {name!r} is damaged or cut off ({e})") from None
