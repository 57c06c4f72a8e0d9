"""Episodes kept as they are played, so that a stopped import goes on where it stopped."""

import contextlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vrlprobe.errors import FormatError
from vrlprobe.runs.atomic import replaced_whole
from vrlprobe.runs.episode import Episode

State = dict[str, Any]
"""A `numpy.random.RandomState`'s, as a dictionary."""
ARRAYS = ("images", "actions", "rewards", "states", "physics")


class PlayedEpisodes:
    """Episodes in a folder by what they were played from, each with the random state after it.

    Parameters
    ----------
    folder : Path
        Made when the first episode is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> tuple[Episode, State] | None:
        """The episode and the environment's random state after it; None if it is not there whole.

        What cannot be read is played again, whatever the reason.
        """
        try:
            with self._path(key).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = {name: file[name] for name in ARRAYS if name in file}
                state = json.loads(str(file["random"]))
            episode = Episode(**{"images": None, **arrays})
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None
        state["state"]["key"] = np.array(state["state"]["key"], np.uint32)
        return episode, state

    def put(self, key: str, episode: Episode, state: State) -> None:
        """Keep an episode.

        Raises
        ------
        FormatError
            The folder or the file cannot be written.
        """
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FormatError(f"cannot write {self._folder}: {error.strerror}") from error
        arrays = {name: getattr(episode, name) for name in ARRAYS}
        recorded = {name: values for name, values in arrays.items() if values is not None}
        said = json.dumps(state, default=np.ndarray.tolist)
        with replaced_whole(self._path(key)) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, random=np.array(said), **recorded)

    def remove(self) -> None:
        """Remove what was kept, as it is in the run by now, and nothing else of the folder."""
        for path in self._folder.glob(f"{'[0-9a-f]' * 64}.npz"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.npz"
