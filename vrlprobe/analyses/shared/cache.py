"""Results as they come, kept on disk by what they were computed from."""

import hashlib
import json
import os
import secrets
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vrlprobe.probes import Scores


def default_folder() -> Path:
    """`vrlprobe` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "vrlprobe"


def sources_digest(names: Iterable[str]) -> str:
    """A digest, in hex, of this package's modules of these names, packages with what is in them.

    Part of what a part is made from: what other code has computed is not taken for its own.

    Raises:
        FileNotFoundError: no module has one of these names, so that its code would not count.
    """
    package = Path(__file__).parents[2]
    paths: set[Path] = set()
    for name in names:
        there = {*package.glob(f"{name}.py"), *package.glob(f"{name}/*.py")}
        if not there:
            raise FileNotFoundError(f"no module {name!r} in {package}")
        paths |= there
    whole = hashlib.sha256()
    for path in sorted(paths):
        whole.update(f"{path.relative_to(package).as_posix()}\n".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def part_key(made_from: Mapping[str, Any]) -> str:
    """A digest, in hex, of everything that a part's values depend on."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


class Parts:
    """Small named arrays by key: one JSON file each, whole or not there at all.

    Args:
        folder: where they are kept; made if missing. None keeps them in memory alone, and so does,
            with a warning, a folder that cannot be written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._known: dict[str, Scores] = {}
        self._folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                self._give_up(error)

    def __contains__(self, key: str) -> bool:
        if key not in self._known and (found := self._read(key)) is not None:
            self._known[key] = found
        return key in self._known

    def __getitem__(self, key: str) -> Scores:
        if key not in self:
            raise KeyError(key)
        return self._known[key]

    def __getstate__(self) -> dict[str, Any]:
        """Sent to another process it knows where parts are kept, not what was found so far."""
        return {"_known": {}, "_folder": self._folder}

    def remember(self, found: Mapping[str, Scores]) -> None:
        """Parts that another process made and keeps on disk."""
        self._known.update(found)

    def __setitem__(self, key: str, scores: Scores) -> None:
        self._known[key] = scores
        if self._folder is None:
            return
        path = self._path(self._folder, key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(exist_ok=True)
            values = {name: v.tolist() for name, v in scores.items()}
            temporary.write_text(json.dumps({"digest": part_key(values), "values": values}))
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self._give_up(error)

    def _read(self, key: str) -> Scores | None:
        """A part from disk; None where there is none or the file is damaged."""
        if self._folder is None:
            return None
        try:
            content = json.loads(self._path(self._folder, key).read_text())
            whole = content["digest"] == part_key(content["values"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return {name: np.asarray(v) for name, v in content["values"].items()} if whole else None

    def _give_up(self, error: OSError) -> None:
        warnings.warn(
            f"parts cannot be kept in {self._folder} ({error.strerror}), so an interrupted call "
            "starts again: `cache` takes another folder",
            stacklevel=3,
        )
        self._folder = None

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / f"{key[2:]}.json"
