"""Recorded episodes as a Minari dataset, for offline reinforcement learning."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.analyses._film import Renderer
from vrlprobe.errors import FormatError, SampleError
from vrlprobe.results.dataset import Track, shared
from vrlprobe.runs.atomic import fsync_folder, reason
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.reader import Run
from vrlprobe.samples.selection import run_labels

ALL = "all"
Episodes = Sequence[tuple[Run, int, int]]
"""Runs, the frames of checkpoints, and the places of episodes in their rollouts."""
Groups = list[tuple[str, list[int]]]
"""Names of vectors, and the places of their components."""


def export_dataset(
    checkpoints: Sequence[tuple[Run, int]],
    dataset_id: str,
    *,
    track: Track = iter,
) -> Path:
    """Write the episodes recorded at checkpoints into Minari's local datasets.

    An observation is a dict: `pixels`, uint8 (height, width, 3), the single image (gymnasium's
    `FrameStackObservation` stacks them), and `state`, a dict of float64 vectors, the named
    components of the simulator's state. Infos hold `physics`, its full state. Episodes without
    images are rendered anew. The Control Suite ends an episode by its time limit, so the last step
    is truncated. Images are stored as they are, not as JPEG.

    Args:
        checkpoints: open runs and the frames of their checkpoints, of one task and image size; one
            that is there twice is written once.
        dataset_id: `namespace/name-v0`; `minari.load_dataset(dataset_id)` finds it.
        track: wraps the episodes, for instance to show progress.

    Returns:
        The dataset's folder, under `~/.minari/datasets` or `$MINARI_DATASETS_PATH`.

    Raises:
        FormatError: the extra [minari] is not installed, no such id can be, it exists already, or
            it cannot be written.
        SampleError: no episodes, or those of several tasks, image sizes or sets of components.
        RenderError: images must be rendered, and there is no OpenGL library.
    """
    folder = check_dataset(dataset_id)
    checkpoints = distinct(checkpoints)
    where = [(run, frame, i) for run, frame in checkpoints for i in range(len(run.rollout(frame)))]
    if not where:
        raise SampleError(
            f"no episodes: {', '.join(run.path.name for run, _ in checkpoints)} recorded none there"
        )
    runs = [run for run, _, _ in where]
    for what in ("task", "action_repeat", "image_size"):
        shared([run.config.get(what) for run in runs], runs, what, "one dataset")
    shared([run.components for run in runs], runs, "components", "one dataset")
    bound = _action_bound(where)
    with _complete(folder, dataset_id) as staged, Renderer() as render:
        _write(staged, where, dataset_id, bound, track, render)
    return folder


def distinct(checkpoints: Sequence[tuple[Run, int]]) -> list[tuple[Run, int]]:
    """Each checkpoint once, by its run's file and its frame.

    Raises:
        SampleError: something else than pairs of an open run and a frame.
    """
    pairs = isinstance(checkpoints, Sequence) and all(
        isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], Run) for one in checkpoints
    )
    if not pairs:
        raise SampleError("checkpoints are pairs of an open run and a frame, [(run, 100000)]")
    known = {(run.location.resolve(), frame): (run, frame) for run, frame in checkpoints}
    return list(known.values())


def _action_bound(where: Episodes) -> float:
    """1, the Control Suite's; infinite where an import brought larger actions.

    Raises:
        SampleError: episodes that were imported as images alone.
    """
    largest = 0.0
    for run, frame, i in where:
        episode = run.rollout(frame)[i]
        if not episode.actions.shape[1] or np.isnan(episode.rewards).any():
            raise SampleError(
                f"{run.path.name} has episodes without actions or rewards at frame {frame}: a "
                "dataset needs both"
            )
        largest = max(largest, float(np.abs(episode.actions).max()))
    return 1.0 if largest <= 1 else np.inf


def check_dataset(dataset_id: str) -> Path:
    """Where a new dataset of that id goes.

    Raises:
        FormatError: the extra is not installed, no such id can be, or there is one already.
    """
    _minari()
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.storage import get_dataset_path

    try:
        parse_dataset_id(dataset_id)
    except (ValueError, TypeError):  # TypeError: without a version
        raise FormatError(
            "a dataset is called name-v0 or namespace/name-v0, of letters, digits, - and _ (two at "
            f"least in a namespace), not {dataset_id!r}"
        ) from None
    try:
        folder = Path(get_dataset_path(dataset_id))
    except OSError as error:
        raise FormatError(f"cannot write {error.filename}: {error.strerror}") from None
    if folder.exists():
        raise FormatError(f"{folder} exists: choose another name or version")
    return folder


def _minari() -> Any:
    try:
        import minari
    except ImportError as error:
        raise FormatError(
            "datasets need the extra [minari] (pip install 'vrlprobe[minari]')"
        ) from error
    return minari


@contextmanager
def _complete(folder: Path, dataset_id: str) -> Iterator[Path]:
    """A folder beside `folder` that takes its name when all is written; else nothing stays.

    Minari does not list folders whose names begin with a dot.
    """
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.namespace import create_namespace, list_local_namespaces

    staged = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        namespace, _, _ = parse_dataset_id(dataset_id)
        if namespace and namespace not in list_local_namespaces():
            create_namespace(namespace)
        for left in folder.parent.glob(f".{folder.name}.{'[0-9a-f]' * 8}.part"):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
        staged.mkdir(parents=True)
        yield staged
        _fsync(staged)
        staged.rename(folder)
        fsync_folder(folder)
    except (OSError, RuntimeError) as error:  # the second is HDF5's
        raise FormatError(f"cannot write {folder}: {reason(error)}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(
    staged: Path,
    where: Episodes,
    dataset_id: str,
    bound: float,
    track: Track,
    render: Renderer,
) -> None:
    groups = component_groups(where[0][0].components)
    storage: Any = None
    digests = []
    for run, frame, i in track(where):
        episode = run.rollout(frame)[i]
        pixels = _pixels(run, episode, render)
        if storage is None:
            storage = _storage(staged / "data", groups, pixels, episode.actions, bound)
            storage.update_metadata(_metadata(where, dataset_id))
        buffer = _buffer(episode, pixels, groups)
        digests.append(_digest(buffer))
        storage.update_episodes([buffer])
        told = {"run": run.path.name, "seed_of_run": run.config.get("seed"), "frame": frame}
        storage.update_episode_metadata(
            [{k: v for k, v in told.items() if v is not None}], [storage.total_episodes - 1]
        )

    _check_written(staged / "data", digests)


def _digest(episode: Any) -> str:
    """Of all arrays of an episode, as it is given to Minari or as Minari reads it."""
    whole = hashlib.sha256()
    parts = {
        **{
            f"state {name}": values
            for name, values in _of(episode, "observations")["state"].items()
        },
        "pixels": _of(episode, "observations")["pixels"],
        **{name: _of(episode, name) for name in ("actions", "rewards", "truncations")},
        "physics": _of(episode, "infos")["physics"],
    }
    for name, values in sorted(parts.items()):
        array = np.ascontiguousarray(values)
        whole.update(f"{name} {array.dtype} {array.shape}".encode())
        whole.update(array.data)
    return whole.hexdigest()


def _of(episode: Any, name: str) -> Any:
    return episode[name] if isinstance(episode, dict) else getattr(episode, name)


def _check_written(folder: Path, digests: Sequence[str]) -> None:
    """Raise FormatError where what another library wrote is not what it was given."""
    from minari.dataset.minari_storage import MinariStorage

    stored = MinariStorage.read(folder)
    for place, digest in enumerate(digests):
        try:
            (found,) = stored.get_episodes([place])
            same = _digest(found) == digest
        except (OSError, RuntimeError, KeyError, ValueError, TypeError):
            same = False
        if not same:
            raise FormatError(
                f"episode {place} is not on the disk as it was written: is the disk full?"
            )


def _fsync(folder: Path) -> None:
    """Have all files under a folder last."""
    for path in (*(p for p in folder.rglob("*") if p.is_file()), folder):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _storage(
    folder: Path, groups: Groups, pixels: NDArray[np.uint8], actions: NDArray[Any], bound: float
) -> Any:
    """Minari's storage for episodes whose images and actions are of these shapes."""
    from gymnasium.spaces import Box, Dict, Space
    from minari.dataset.minari_storage import MinariStorage

    vectors: dict[str, Space[Any]] = {
        name: Box(-np.inf, np.inf, (len(at),), np.float64) for name, at in groups
    }
    return MinariStorage.new(
        folder,
        Dict(pixels=Box(0, 255, pixels.shape[1:], np.uint8), state=Dict(vectors)),
        Box(-bound, bound, actions.shape[1:], np.float32),
        jpeg_encoding=False,
    )


def _buffer(episode: Episode, pixels: NDArray[np.uint8], groups: Groups) -> Any:
    """An episode as Minari takes it: cut off at its end, by time alone."""
    from minari.data_collector import EpisodeBuffer

    ends = np.zeros(len(episode), bool)
    ends[-1] = True
    return EpisodeBuffer(
        observations={
            "pixels": pixels,
            "state": {name: episode.states[:, at] for name, at in groups},
        },
        actions=episode.actions,
        rewards=episode.rewards.astype(np.float64),
        terminations=np.zeros(len(episode), bool),
        truncations=ends,
        infos={"physics": episode.physics},
    )


def component_groups(components: Sequence[str]) -> Groups:
    """Components by the vector that they are numbers of: `velocity[0]`, `velocity[1]` … as one.

    Returns:
        Names and the components' places, in the order of their first. A slash becomes a dot: it
        would mean a group.
    """
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(components):
        groups.setdefault(name.partition("[")[0].replace("/", "."), []).append(i)
    return list(groups.items())


def _pixels(run: Run, episode: Episode, render: Renderer) -> NDArray[np.uint8]:
    images = render(run, episode.physics) if episode.images is None else episode.images
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def _metadata(where: Episodes, dataset_id: str) -> dict[str, Any]:
    first = where[0][0]
    runs = list(dict.fromkeys(run for run, _, _ in where))
    labels = dict(zip(runs, run_labels(runs), strict=True))
    sources = {f"{labels[run]}@{frame}": run.digest(frame) for run, frame, _ in where}
    repeat = first.config.get("action_repeat")
    return {
        "dataset_id": dataset_id,
        "minari_version": _minari().__version__,
        "algorithm_name": str(first.config.get("architecture")),
        "description": f"Episodes of {first.config.get('task')} (dm_control), played with the "
        f"mean action, each held for {repeat} frames; images single, in the order (height, width, "
        "colour). Written by vrlprobe.",
        "requirements": ["dm_control"],
        "checkpoints": json.dumps(sources),
    }
