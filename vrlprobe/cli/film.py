"""`vrlprobe film`: what the agents do, as a strip of images or a video."""

from pathlib import Path
from typing import Any

import click

from vrlprobe.analyses._film import DEFAULT_COUNT, DEFAULT_UNTIL
from vrlprobe.analyses._film import film as study
from vrlprobe.cli.common import FILE, Session, check_writable, forced, parse_frames
from vrlprobe.runs.output import result_kind


@click.command(short_help="Film strips and videos of episodes (Figures 6, 7).")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", type=FILE, help="Film strip: .pdf, .png or .svg.")
@click.option("--video", type=FILE, help="Whole episodes side by side: .mp4 or .gif.")
@click.option("--frame", default="last", show_default=True, help="Checkpoint: last, best, F.")
@click.option(
    "--episodes",
    default="0",
    show_default=True,
    help="Comma-separated episodes of each rollout, counted from 0.",
)
@click.option(
    "--count", type=click.IntRange(min=2), default=DEFAULT_COUNT, show_default=True,
    help="Images in each row of the strip.",
)  # fmt: skip
@click.option(
    "--until", type=click.IntRange(min=1), default=DEFAULT_UNTIL, show_default=True,
    help="Last frame of the episode that the strip shows.",
)  # fmt: skip
@click.option(
    "--size",
    type=click.IntRange(8, 1024),
    help="Render again at this size in pixels.  [default: as recorded]",
)
@click.option("--data", type=FILE, help="Also save the strip's images (NetCDF).")
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

    One row per episode, all at the same frames of the episode. Episodes recorded without
    images are rendered again from their physics. Videos need the extra [video] and ffmpeg.
    """
    from vrlprobe import figures
    from vrlprobe.figures._video import check_video, video_kind, write_video
    from vrlprobe.figures.style import check_kind, figure_kind

    if output is None and video is None:
        raise click.UsageError("name a strip (-o strip.pdf), a video (--video out.mp4) or both")
    if data and output is None:
        raise click.UsageError("--data keeps the images of a strip: name one (-o strip.pdf)")
    if output:
        check_kind(output)
        check_writable(output, figure_kind(output))
    if data:
        check_writable(data, result_kind("film"))
    if video:
        check_writable(video, video_kind(video))
        check_video(video)
    which: dict[str, Any] = {
        "frame": one_frame(frame),
        "episodes": episode_numbers(episodes),
        "size": size,
    }
    with Session() as session:
        opened = session.runs(runs)
        if output:
            strip = study(opened, count=count, until=until, **which)
            figures.film(strip).save(output, data, force=forced())
            click.echo(f"wrote {output}", err=True)
            if data:
                click.echo(f"wrote {data}", err=True)
        if video:
            write_video(study(opened, count=None, until=None, **which), video, force=forced())
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
