"""A training written into a run file: begun, continued, and safe to stop at any moment."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vrlprobe._text import byte_size
from vrlprobe.agents.drqv2 import NORM_LAYERS, TANHS
from vrlprobe.errors import (
    FormatError,
    IntegrityError,
    ResumeError,
    UnsafeFileError,
    VrlprobeError,
)
from vrlprobe.runs.atomic import remove_parts
from vrlprobe.runs.locks import RunLock
from vrlprobe.runs.provenance import processor, revision
from vrlprobe.runs.reader import Run, open_run
from vrlprobe.runs.record import (
    is_record,
    make_record,
    read_record,
    refuse_to_replace_by_record,
    write_record,
)
from vrlprobe.runs.salvage import change_config, salvage_run
from vrlprobe.runs.writer import RunWriter
from vrltrain.config.settings import TrainConfig
from vrltrain.inits import Init, check_fit
from vrltrain.paths import is_begun, record_path, resume_folder
from vrltrain.resume import (
    REPLAY,
    has_gone_round,
    prune_states,
    remove_folder,
    restore_state,
    save_state,
)
from vrltrain.train import LOG, Progress, Training, quiet

STRETCH_BYTES = 512

IMAGE_COMPRESSION = 3.5
"""Raw bytes of a rollout's images over those in the file, as measured on walker_walk."""


def images_kept(policy: str, episodes: int, last: bool) -> int:
    """How many of a rollout's episodes keep their images.

    Args:
        policy: the setting `images`, see `vrltrain.config.limits.CHOICES`.
        episodes: number of episodes in the rollout.
        last: whether this is the run's last checkpoint.
    """
    if policy == "all" or (last and policy != "none"):
        return episodes
    return 1 if policy == "one" else 0


def provenance(training: Training) -> dict[str, Any]:
    """What made a run beside its settings and versions: platform, processor, renderer."""
    return {
        "platform": platform.platform(),
        "processor": platform.machine(),
        "gl": os.environ.get("MUJOCO_GL", ""),
        "renderer": training.env.renderer,
    }


def stretch_of(training: Training) -> dict[str, Any]:
    """What makes a checkpoint and may differ after a resume: code, processor or GPU, precision."""
    device = torch.device(training.config.device)
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {
        **revision(),
        "processor": processor()[:200],
        **gpu,
        "torch": torch.__version__,
        "precision": training.config.precision,
    }


def expected_bytes(training: Training) -> int:
    """About how large the run file and its resume state will grow together."""
    config, env = training.config, training.env
    tensors = training.agent.named_tensors()
    weights = sum(tensor.nbytes for tensor in tensors.values())
    trained = sum(t.nbytes for name, t in tensors.items() if not name.startswith("critic_target/"))
    archives = 2 * 2 * trained  # Adam's two moments, in the archive to come and the one before
    image = 3 * config.image_size**2
    count = len(config.evaluated_at(env.episode_steps * config.action_repeat))
    kept = sum(
        images_kept(config.images, config.final_episodes if last else config.eval_episodes, last)
        for last in [False] * (count - 1) + [True]
    )
    images = kept * (env.episode_steps + 1) * image
    batches = count * config.norm_batch_size * config.frame_stack * image
    file = count * weights + (images + batches) / IMAGE_COMPRESSION
    return int(file + archives + training.replay.nbytes)


def check_space(training: Training, folder: Path) -> int:
    """The bytes that a run will take.

    Raises:
        VrlprobeError: the disk has less free.
    """
    needed, free = expected_bytes(training), shutil.disk_usage(folder).free
    if needed > free:
        raise VrlprobeError(
            f"the run needs about {byte_size(needed)} in {folder}, {byte_size(free)} are free: "
            'choose another disk, `images="none"` or a smaller `replay_capacity`'
        )
    return needed


def create_writer(path: Path, training: Training, init: Init | None = None) -> RunWriter:
    """A new run file with room for everything that the training will write."""
    config, env = training.config, training.env
    return RunWriter.create(
        path,
        config={**config.stored(), "action_dim": env.n_actions},
        parameters=training.agent.named_tensors(),
        components=env.components,
        aliases=env.aliases,
        n_actions=env.n_actions,
        physics_dim=len(env.physics_state),
        image_shape=(3, config.image_size, config.image_size),
        max_episodes=max(config.eval_episodes, config.final_episodes),
        max_steps=env.episode_steps,
        batch_size=config.norm_batch_size,
        log=LOG,
        coords={
            "layer": list(NORM_LAYERS),
            "weight": list(training.learner.weights),
            "tanh": list(TANHS),
        },
        stretch_bytes=STRETCH_BYTES,
        provenance={**provenance(training), **({"init": init.provenance} if init else {})},
    )


def begin(
    config: TrainConfig,
    path: Path,
    progress: Progress,
    announce: Callable[[int], None],
    init: Init | None = None,
    *,
    keep: bool = False,
) -> None:
    """Train into a new run file, to the end or until interrupted.

    Args:
        config: the settings.
        path: the run file; must not exist, or hold no checkpoint yet.
        progress: called after every episode and evaluation.
        announce: called once with the bytes that the run will take.
        init: the networks to begin with; from scratch if None.
        keep: leave the resume state of the complete run, so that it can be lengthened.

    Raises:
        FormatError: the path is taken or a link, or something else is where its record or its
            resume state goes.
        TransplantError: the settings are not those of the networks.
    """
    if init:
        check_fit(config, init)
    folder = resume_folder(path)
    _check_place(path, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        _refuse_begun(path)  # by now
        path.unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        (folder / REPLAY).unlink(missing_ok=True)
        training = None
        try:
            with closing(Training(config, folder / REPLAY, init)) as training:
                announce(check_space(training, path.parent))
                with create_writer(path, training, init) as writer:
                    _train(training, writer, folder, progress)
        except BaseException:
            if training is None or not training.checkpoints:
                _discard_unbegun(path, folder)
            raise
        _finish(path, folder, keep)


def _check_place(path: Path, folder: Path) -> None:
    """Raise FormatError where a new run, its record or its resume state cannot lie."""
    refuse_to_replace_by_record(record_path(path))
    _refuse_begun(path)
    if path.is_symlink():
        raise FormatError(f"{path} is a link: give the name of the file itself, {path.readlink()}")
    if folder.exists() and not folder.is_dir():
        raise FormatError(f"{folder} is where the run's resume state goes: move it")
    if path.parent.exists() and not path.parent.is_dir():
        raise FormatError(f"cannot write {path}: {path.parent} is no folder")


@contextmanager
def _alone(path: Path, refusal: type[VrlprobeError] = FormatError) -> Iterator[None]:
    """Hold a run's resume state from before its file is made: a second training would replace it.

    Raises:
        VrlprobeError: another process holds it; of the type `refusal`.
    """
    try:
        lock = RunLock(resume_folder(path), of=path)
    except FormatError as error:
        raise refusal(str(error)) from None
    try:
        yield
    finally:
        lock.release()


def _refuse_begun(path: Path) -> None:
    if is_begun(path):
        raise FormatError(f"{path} exists: choose another name, or `vrltrain resume {path}`")


def _discard_unbegun(path: Path, folder: Path) -> None:
    """Remove what a training left that ended before its first checkpoint.

    A damaged file stays: it may be another's by now.
    """
    try:
        begun = is_begun(path)
    except FormatError:  # interrupted while the file was made
        begun = False
    except (IntegrityError, UnsafeFileError):
        begun = True
    if not begun:
        path.unlink(missing_ok=True)
        remove_folder(folder)


def resume(
    path: Path,
    progress: Progress,
    device: str | None = None,
    *,
    total_frames: int | None = None,
    keep: bool = False,
) -> bool:
    """Continue a run from its last checkpoint; False when it was complete already.

    One that was killed before its first checkpoint starts again, from its settings.

    Args:
        path: the run file.
        progress: called after every episode and evaluation.
        device: another one than the run was begun on, whose products are rounded otherwise.
        total_frames: a later end than the run was begun with.
        keep: leave the resume state of a complete run, so that it can be lengthened.

    Raises:
        ResumeError: the run is being written, has no checkpoint, or its state is missing; or the
            end is no later one.
    """
    folder = resume_folder(path)
    _refuse_growing(path)
    if (config := _unbegun(path)) is not None:
        if total_frames is not None:
            config = _longer(config, path, total_frames)
        config = replace(config, device=device or config.device)
        begin(config, path, progress, lambda _: None, keep=keep)
        return True
    with _alone(path, ResumeError):
        if total_frames is not None:
            lengthen(path, folder, total_frames)
        with _stopped_run(path) as run:
            config, frame = config_of(run), int(run.frames[-1])
            config = replace(config, device=device or config.device)
            parameters, digest = run.parameters(frame), run.digest(frame)
        if frame >= config.evaluation_frames[-1]:  # killed after the last commit, perhaps
            RunLock(path).release()
            _finish(path, folder, keep)
            return False
        if not (folder / REPLAY).exists() or not (folder / REPLAY).stat().st_size:
            raise ResumeError(f"{path} cannot be continued: {folder / REPLAY} is missing")
        with closing(Training(config, folder / REPLAY)) as training:
            training.agent.load_named_tensors(parameters)
            restore_state(training, folder, frame, path, digest)
            progress(training)
            with RunWriter.append(path) as writer:
                _train(training, writer, folder, progress)
        _finish(path, folder, keep)
    return True


def lengthen(path: Path, folder: Path, total_frames: int) -> None:
    """Have a run that was stopped, or whose resume state was kept, end later.

    The replay comes first: one that is longer than the config says is cut again.

    Raises:
        ResumeError: no later end; the resume state is gone; or the replay is a ring that has gone
            round, whose records would lie elsewhere in a longer one.
    """
    with _stopped_run(path) as run:
        config, frame = config_of(run), int(run.frames[-1])
    longer = _longer(config, path, total_frames)
    if not (folder / REPLAY).exists():
        raise ResumeError(
            f"{path} cannot be lengthened: its replay went with its resume state when it was "
            "finished; vrltrain run --keep-resume leaves them. A new run can begin with its "
            "networks (vrltrain run --init)"
        )
    with (
        tempfile.TemporaryDirectory(dir=folder) as blank,
        closing(Training(longer, Path(blank) / REPLAY)) as training,
    ):
        new = training.replay.nbytes
    if new > (folder / REPLAY).stat().st_size:
        if has_gone_round(folder, frame):
            raise ResumeError(f"{path} cannot be lengthened: its replay was full before its end")
        os.truncate(folder / REPLAY, new)
    change_config(path, longer.stored())


def _longer(config: TrainConfig, path: Path, total_frames: int) -> TrainConfig:
    if total_frames <= config.total_frames:
        raise ResumeError(
            f"{path} is of {config.total_frames:,} frames already: a later end is needed to go on "
            "(`total_frames`)"
        )
    return replace(config, total_frames=total_frames)


def config_of(run: Run) -> TrainConfig:
    """The settings of a training.

    Raises:
        ResumeError: a run that vrltrain did not write.
        FormatError: one with settings that it does not know.
    """
    if "total_frames" not in run.config:
        raise ResumeError(
            f"{run.path} is no training of vrltrain, nothing can be continued; a new one can "
            "begin with its networks (vrltrain run --init)"
        )
    return TrainConfig.restored(run.config, run.path)


def _finish(path: Path, folder: Path, keep: bool = False) -> None:
    """Leave the record of a complete run beside it, and nothing to resume from unless it is kept.

    The record comes last: a sweep does not look again at a run that has one.
    """
    with open_run(path) as run:
        record, kept = make_record(run), record_path(path)
        if not keep:
            remove_folder(folder)
        remove_parts(kept)
        if not is_record(kept) or read_record(kept).checkpoint != record.checkpoint:
            write_record(record, kept)  # a run's own record may have more in it: metrics, probes


def _refuse_growing(path: Path) -> None:
    with open_run(path) as run:
        if run.state == "growing":
            raise ResumeError(f"{path} is being written by another process: stop that one first")


def _unbegun(path: Path) -> TrainConfig | None:
    """The settings of a run without a checkpoint, None for any other.

    Raises:
        ResumeError: it was to begin with given networks, which are not in the file.
    """
    with open_run(path) as run:
        if len(run.frames):
            return None
        if "init" in run.provenance:
            raise ResumeError(
                f"{path} holds no checkpoint yet and began with given networks: start it again "
                "with them (vrltrain run --init)"
            )
        return config_of(run)


@contextmanager
def _stopped_run(path: Path) -> Iterator[Run]:
    """The run at `path`, salvaged first if it was killed."""
    salvage_run(path)
    with open_run(path) as run:
        if not len(run.frames):
            raise ResumeError(f"{path} holds no checkpoint: remove it and start again")
        yield run


def _train(training: Training, writer: RunWriter, folder: Path, progress: Progress) -> None:
    due = training.config.evaluation_frames
    for frame in due:
        if writer.last_frame is not None and frame <= writer.last_frame:
            continue
        if training.config.reset_rule and training.attempt.fails(training.rule):
            training.restart()
        training.play_until(frame, progress)
        checkpoint(training, writer, folder, progress, last=training.frame >= due[-1])
        progress(training)


def checkpoint(
    training: Training,
    writer: RunWriter,
    folder: Path,
    progress: Progress = quiet,
    *,
    last: bool,
) -> None:
    """Evaluate and write what a checkpoint consists of."""
    config = training.config
    count = config.final_episodes if last else config.eval_episodes
    episodes = training.evaluate(count, images_kept(config.images, count, last), progress)
    batch = training.norm_batch()
    row = training.log_row(episodes, batch)
    row = {name: value for name, value in row.items() if name in writer.layout.log}
    stretch = stretch_of(training) if writer.layout.stretch_bytes else None  # older runs have none
    save_state(training, folder)
    tensors = training.agent.named_tensors()
    writer.commit(training.frame, tensors, episodes, row, batch, stretch)
    training.last_return = float(row["episode_return"])
    training.checkpoints += 1
    prune_states(folder, training.frame)
