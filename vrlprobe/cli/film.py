"""`vrlprobe film`: what the agents do, as a strip of images or a video."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from vrlprobe.cli.common import FILE, Session, check_writable, parse_frames
from vrlprobe.errors import FormatError, RenderError
from vrlprobe.results import written_at_once
from vrlprobe.studies.filming import DEFAULT_COUNT, DEFAULT_UNTIL
from vrlprobe.studies.filming import film as study

VIDEO_FPS = 25.0
Encode = Callable[[np.ndarray, float], bytes]


@click.command(short_help="Film strips and videos of episodes (Figure 6).")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", type=FILE, help="Strip: .pdf, .png or .svg.")
@click.option("--video", type=FILE, help="Whole episodes side by side: .mp4 or .gif.")
@click.option(
    "--frame", default="last", show_default=True, help="Of the checkpoint: last, best, F."
)
@click.option(
    "--episodes",
    default="0",
    show_default=True,
    help="Comma-separated, of each rollout, from 0 on.",
)
@click.option(
    "--count", type=click.IntRange(min=2), default=DEFAULT_COUNT, show_default=True,
    help="Images in a row of the strip.",
)  # fmt: skip
@click.option(
    "--until", type=click.IntRange(min=1), default=DEFAULT_UNTIL, show_default=True,
    help="Last frame of the episode in the strip.",
)  # fmt: skip
@click.option(
    "--size",
    type=click.IntRange(8, 1024),
    help="Render anew with so many pixels.  [default: as recorded]",
)
@click.option("--data", type=FILE, help="Also keep the strip's images (NetCDF).")
def film(
    runs: tuple[Path, ...],
    output: Path | None,
    video: Path | None,
    frame: str,
    episodes: str,
    count: int,
    until: int,
    size: int | None,
    data: Path | None,
) -> None:
    """Show evaluation episodes of RUNS as a film strip (the paper's Figures 6 and 7).

    A row an episode, all at the same frames of the episode. Episodes recorded without
    images are rendered anew from their physics. Videos need the extra [video] and ffmpeg.
    """
    from vrlprobe import plotting
    from vrlprobe.figures.style import check_kind

    if output is None and video is None:
        raise click.UsageError("name a strip (-o strip.pdf), a video (--video out.mp4) or both")
    if data and output is None:
        raise click.UsageError("--data keeps the images of a strip: name one (-o strip.pdf)")
    if output:
        check_kind(output)
    for path in filter(None, (output, video, data)):
        check_writable(path)
    encode = video_encoder(video) if video else None
    which: dict[str, Any] = {
        "frame": one_frame(frame),
        "episodes": episode_numbers(episodes),
        "size": size,
    }
    with Session() as session:
        opened = session.runs(runs)
        if output:
            strip = study(opened, count=count, until=until, **which)
            plotting.film(strip).save(output, data)
            click.echo(f"wrote {output}", err=True)
            if data:
                click.echo(f"wrote {data}", err=True)
        if video and encode:
            whole = study(opened, count=None, until=None, **which)
            encoded = encode(side_by_side(whole), steps_per_second(whole))
            with written_at_once(video) as temporary:
                temporary.write_bytes(encoded)
            click.echo(f"wrote {video}", err=True)


def one_frame(text: str) -> str | int:
    """`last`, `best`, or the one frame that an option names."""
    found = parse_frames(text)
    if isinstance(found, str) and found != "all":
        return found
    if isinstance(found, str) or len(found) != 1:
        raise click.BadParameter(f"one frame, last or best: {text}", param_hint="--frame")
    return found[0]


def episode_numbers(text: str) -> list[int]:
    """`0,2` as numbers."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"numbers from 0 on: {text}", param_hint="--episodes") from None


def side_by_side(strip: xr.Dataset) -> np.ndarray:
    """Images (time, y, rows * x, colour) of a strip, made large enough to be seen."""
    frames: np.ndarray = np.concatenate(list(strip["image"].values), axis=2)
    larger = max(1, round(240 / strip.sizes["y"]))
    frames = frames.repeat(larger, axis=1).repeat(larger, axis=2)
    even = [side - side % 2 for side in frames.shape[1:3]]  # the codec takes pairs of pixels
    return frames[:, : even[0], : even[1]]


def steps_per_second(strip: xr.Dataset) -> float:
    """Agent steps in a second of the simulated time, so that a video runs as the task does."""
    step = float(strip.attrs["step_seconds"])
    return 1 / step if step > 0 else VIDEO_FPS


def video_encoder(path: Path) -> Encode:
    """What makes a video of images (time, y, x, colour) at so many in a second.

    Raises:
        FormatError: the name is not that of a video.
        RenderError: the extra or ffmpeg is not installed.
    """
    if (kind := path.suffix.lower()) not in (".mp4", ".gif"):
        raise FormatError(f"cannot film {path}: the name must end in .mp4 or .gif")
    try:
        import mediapy
    except ImportError as error:
        raise RenderError(
            "videos need the extra [video] (pip install 'vrlprobe[video]')"
        ) from error
    if not shutil.which("ffmpeg"):
        raise RenderError("videos need ffmpeg (Debian, Ubuntu: apt-get install ffmpeg)")
    codec = {".mp4": "h264", ".gif": "gif"}[kind]

    def encode(images: np.ndarray, fps: float) -> bytes:
        try:
            encoded: bytes = mediapy.compress_video(images, codec=codec, fps=fps)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1]
            raise RenderError(f"ffmpeg could not make {path}: {reason}") from error
        return encoded

    return encode
