"""Videos of whole episodes, side by side."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe.errors import FormatError, RenderError
from vrlprobe.results.file import check_kind
from vrlprobe.runs.output import write_output
from vrlprobe.runs.paths import as_path

FPS = 25.0
"""Agent steps in a second where the simulated time is not known."""
HEIGHT = 240
"""Pixels that smaller images are enlarged to, about."""
CODECS = {".mp4": "h264", ".gif": "gif"}


def write_video(film: xr.Dataset, path: str | Path, *, force: bool = False) -> None:
    """Write a film's episodes side by side, as fast as the task runs.

    Args:
        film: what `vrlprobe.analyses.film` returned, of every step: `count=None`, `until=None`. A
            strip's images stay as long as the task takes from one to the next.
        path: an .mp4 or .gif file.
        force: replace whatever is there, not an earlier video alone.

    Raises:
        FormatError: another ending, or a file that cannot be written.
        RenderError: the extra [video] or ffmpeg is not installed, or ffmpeg fails.
    """
    check_kind(film, "film")
    mediapy = check_video(path)
    codec = CODECS[Path(path).suffix.lower()]
    try:
        encoded: bytes = mediapy.compress_video(_side_by_side(film), codec=codec, fps=_rate(film))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise RenderError(f"ffmpeg could not make {path}: {reason}") from error
    write_output(path, encoded, kind=video_kind(path), force=force)


def video_kind(path: str | Path) -> str:
    """The kind of file that a video is, by its ending."""
    return f"a video ({as_path(path).suffix.lower()})"


def check_video(path: str | Path) -> Any:
    """What encodes videos; raises as `write_video` where none of this name can be made."""
    if as_path(path).suffix.lower() not in CODECS:
        raise FormatError(f"cannot film {path}: the name must end in {' or '.join(CODECS)}")
    try:
        import mediapy
    except ImportError as error:
        raise RenderError(
            "videos need the extra [video] (pip install 'vrlprobe[video]')"
        ) from error
    if not shutil.which("ffmpeg"):
        raise RenderError("videos need ffmpeg (Debian, Ubuntu: apt-get install ffmpeg)")
    return mediapy


def _rate(film: xr.Dataset) -> float:
    """Images in a second of simulated time."""
    step = float(film.attrs["step_seconds"])
    rate = 1 / step if step > 0 else FPS
    if film.sizes["time"] < 2:
        return rate
    return rate * float(film.attrs["action_repeat"] / film["frame"].diff("time").mean())


def _side_by_side(film: xr.Dataset) -> np.ndarray:
    """Images (time, y, rows * x, colour), large enough to be seen."""
    frames: np.ndarray = np.concatenate(list(film["image"].values), axis=2)
    larger = max(1, round(HEIGHT / film.sizes["y"]))
    frames = frames.repeat(larger, axis=1).repeat(larger, axis=2)
    even = [side - side % 2 for side in frames.shape[1:3]]  # the codec takes pairs of pixels
    return frames[:, : even[0], : even[1]]
