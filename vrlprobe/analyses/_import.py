"""Checkpoints of other programs as run files, with the rollouts that probing needs."""

import hashlib
import operator
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vrlprobe._checks import check_at_least, check_given
from vrlprobe.analyses.shared.defaults import EPISODES
from vrlprobe.analyses.shared.episodes import Given, Nothing, Played, Rollouts
from vrlprobe.analyses.shared.played import PlayedEpisodes
from vrlprobe.checkpoints.checkpoint import Checkpoint
from vrlprobe.checkpoints.observations import load_observations
from vrlprobe.checkpoints.read import read_checkpoint
from vrlprobe.checkpoints.torchfile import MOST_STEPS
from vrlprobe.envs.pixels import split_task
from vrlprobe.errors import FormatError
from vrlprobe.results.dataset import Track
from vrlprobe.runs.atomic import made_new
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.paths import as_path, check_new
from vrlprobe.runs.writer import RunWriter

PathLike = str | os.PathLike[str]
NUMBERED = re.compile(r"(?:snapshot|checkpoint|ckpt|model|frame|step)s?[-_]?(\d+)")


@dataclass(frozen=True)
class Imported:
    """A checkpoint that was imported.

    Attributes:
        path: the file it came from.
        frame: environment frames, action repeat included.
        kind: what the file was, in words.
        episodes: recorded with it.
        episode_return: mean over them, NaN where there are none or their rewards are unknown.
    """

    path: Path
    frame: int
    kind: str
    episodes: int
    episode_return: float


def import_checkpoints(
    paths: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    task: str,
    frames: int | Iterable[int] | None = None,
    episodes: int = EPISODES,
    observations: PathLike | None = None,
    action_repeat: int | None = None,
    architecture: str | None = None,
    image_size: int | None = None,
    activation: str | None = None,
    seed: int = 0,
    track: Track = iter,
) -> list[Imported]:
    """Write checkpoints of one training into a run file that every analysis reads.

    Nothing that the files hold is run: see `vrlprobe.checkpoints`. Episodes that are played are
    kept beside the output, in a folder `NAME.played`, until the run is whole: a call that was
    stopped goes on where it stopped.

    Args:
        paths: the files, see docs/import.md for what is read.
        output: the run file; must not exist.
        task: that the agent was trained on, `walker_walk`; any name with `observations`.
        frames: of each file, or of the one, in environment frames; what the files say, or their
            names, if None.
        episodes: played and recorded with each checkpoint; every one's images at the last, one's
            elsewhere. 0 records none.
        observations: an npz file with episodes to take instead (`load_observations`), with the
            last checkpoint.
        action_repeat: environment frames an action lasts; 2 for DrQ-v2 and 1 elsewhere if None.
        architecture: of a plain state dict, where its names do not tell.
        image_size: height and width of the images, where the shapes leave a choice.
        activation: between the layers of a plain state dict that does not say it.
        seed: of the played episodes.
        track: wraps the steps to play, for instance to show progress.

    Raises:
        FormatError: a file is no checkpoint known here, or does not fit the others or the task; the
            output exists or cannot be written.
        UnsafeFileError: a file asks for what no checkpoint needs.
        SampleError: the observations are not as needed.
        UnknownTaskError, RenderError: the task cannot be played.
        ValueError: a number that cannot be.
    """
    check_at_least(0, episodes=episodes, seed=seed)
    check_given(1, action_repeat=action_repeat, image_size=image_size)
    episodes, seed = int(episodes), int(seed)
    repeat = None if action_repeat is None else int(action_repeat)
    size = None if image_size is None else int(image_size)
    files = _files(paths)
    where = as_path(output)
    check_new(where)
    at = None if frames is None else _numbers(frames)
    if at is not None:
        _check_each(at, files)

    def read(path: Path) -> Checkpoint:
        found = read_checkpoint(
            path, architecture=architecture, image_size=size, activation=activation
        )
        return replace(found, action_repeat=repeat or found.action_repeat)

    order = _in_order(files, at, read)
    first = read(order[0][1])
    played = PlayedEpisodes(where.with_name(f"{where.stem}.played"))
    if observations is not None:
        rollouts: Rollouts = Given(load_observations(Path(observations), first.agent().image_shape))
    elif episodes:
        rollouts = Played(task, first, episodes, seed, played, len(order), track)
    else:
        split_task(task)
        rollouts = Nothing(first)
    done = _write(where, order, read, rollouts, _config(first, task, rollouts))
    played.remove()
    return done


def _write(
    where: Path,
    order: Sequence[tuple[int, Path]],
    read: Callable[[Path], Checkpoint],
    rollouts: Rollouts,
    config: dict[str, Any],
) -> list[Imported]:
    """Every checkpoint with its rollout, in a run file that appears when all are there."""
    sources = [_origin(path, frame) for frame, path in order]
    done = []
    with (
        rollouts,
        made_new(where) as temporary,
        RunWriter.create(
            temporary,
            config=config,
            parameters=read(order[0][1]).parameters,
            provenance={"import": {"sources": sources}} | rollouts.provenance,
            **rollouts.layout,
        ) as writer,
    ):
        for frame, path in order:
            checkpoint = read(path)
            rollout = rollouts.episodes(checkpoint, last=frame == order[-1][0])
            batch = rollouts.batch(checkpoint, rollout)
            writer.commit(frame, checkpoint.parameters, rollout, batch=batch)
            done.append(_summary(path, frame, checkpoint, rollout))
    return done


def _files(paths: PathLike | Sequence[PathLike]) -> list[Path]:
    given: Any = paths
    alone = isinstance(given, str | os.PathLike) or not isinstance(given, Iterable)
    files = [as_path(path) for path in ([given] if alone else given)]
    if not files:
        raise FormatError("no checkpoint is given: at least one file is needed")
    return files


def _numbers(frames: int | Iterable[int]) -> list[int]:
    try:
        given = frames if isinstance(frames, Iterable) else [frames]
        return [operator.index(frame) for frame in given]
    except TypeError:
        raise FormatError(f"frames are whole numbers, one a file, not {frames!r}") from None


def _check_each(frames: Sequence[int], files: Sequence[Path]) -> None:
    if len(frames) != len(files):
        raise FormatError(f"{len(frames)} frames for {len(files)} files: give each its own")
    taken: dict[int, Path] = {}
    for frame, path in zip(frames, files, strict=True):
        if frame in taken:
            raise FormatError(
                f"frame {frame} is given twice, for {taken[frame]} and {path}: a run has one "
                "checkpoint a frame"
            )
        taken[frame] = path


def _in_order(
    files: Sequence[Path],
    frames: Sequence[int] | None,
    read: Callable[[Path], Checkpoint],
) -> list[tuple[int, Path]]:
    """Each file with its frame, ascending; raises FormatError where they are not of one training.

    Every file is read once here, so that what is wrong is found before anything is played.
    """
    like: Checkpoint | None = None
    found: dict[int, Path] = {}
    for place, path in enumerate(files):
        checkpoint = read(path)
        for note in checkpoint.notes:
            warnings.warn(f"{path}: {note}", stacklevel=3)
        like = like or checkpoint
        _check_alike(checkpoint, path, like, files[0])
        frame = frames[place] if frames is not None else _frame(checkpoint, path, len(files))
        if not 0 <= frame < MOST_STEPS:
            raise FormatError(f"{path}: frame {frame} is beyond any training (`frames`)")
        if frame in found:
            raise FormatError(
                f"{found[frame]} and {path} are both at frame {frame}: give `frames`, one for each"
            )
        found[frame] = path
    return sorted(found.items())


def _frame(checkpoint: Checkpoint, path: Path, n_files: int) -> int:
    """What the file says, or else its name."""
    if checkpoint.steps is not None:
        return checkpoint.steps * checkpoint.action_repeat
    if numbers := NUMBERED.findall(path.stem):
        return int(numbers[-1])
    if n_files > 1:
        raise FormatError(
            f"{path} does not say at which frame it was saved: give `frames`, one for each"
        )
    return 0


def _check_alike(one: Checkpoint, path: Path, other: Checkpoint, other_path: Path) -> None:
    begin = f"{path} is not of the same training as {other_path}"
    for key in {**one.config, **other.config}:
        if (mine := one.config.get(key)) != (its := other.config.get(key)):
            raise FormatError(f"{begin}: {key} is {mine}, there {its}")
    if lost := sorted(one.parameters.keys() ^ other.parameters.keys()):
        raise FormatError(f"{begin}: only one of them has {lost[0]}")


def _config(first: Checkpoint, task: str, rollouts: Rollouts) -> dict[str, Any]:
    return {
        "task": task,
        "profile": "imported",
        **first.config,
        "action_repeat": first.action_repeat,
        "render": rollouts.render,
        "precision": "float32",
    }


def _origin(path: Path, frame: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "sha256": digest, "frame": frame}


def _summary(
    path: Path, frame: int, checkpoint: Checkpoint, rollout: Sequence[Episode]
) -> Imported:
    returns = [episode.episode_return for episode in rollout]
    mean = sum(returns) / len(returns) if returns else float("nan")
    return Imported(path, frame, checkpoint.kind, len(rollout), mean)
