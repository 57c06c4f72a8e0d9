"""What a killed run needs to go on as if unbroken, beside the run: `seed3.resume/` for `seed3.h5`.

One archive of plain arrays a checkpoint, named by its frame, written before the checkpoint is
committed and removed once the next one is: whichever moment a kill hits, the archive of the last
committed frame is there. The networks themselves are in the run.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vrlprobe.collapse.rule import Attempt
from vrlprobe.errors import FormatError, ResumeError
from vrlprobe.runs.atomic import replaced_whole
from vrlprobe.runs.schema import parameters_digest
from vrltrain.train import Training

REPLAY = "replay.bin"


def _random_states(training: Training) -> dict[str, Any]:
    def plain(stream: np.random.RandomState) -> dict[str, Any]:
        state: Any = stream.get_state(legacy=False)
        key = state["state"]["key"].tolist()
        return {**state, "state": {**state["state"], "key": key}}

    return {
        "rng": training.rng.bit_generator.state,
        "env": plain(training.env.random_state),
    }


def checkpoint_digest(training: Training) -> str:
    """Digest of the networks as they are, in hexadecimal, as the run file has it."""
    tensors = training.agent.named_tensors()
    return parameters_digest(
        {name: t.contiguous().cpu().numpy() for name, t in tensors.items()}
    ).hex()


def save_state(training: Training, folder: Path) -> None:
    """Publish the state of a training that stands at an evaluation, atomically.

    Raises:
        ResumeError: it cannot be written; the state before it is kept.
    """
    training.replay.sync()
    counters = {
        "step": training.step,
        "digest": checkpoint_digest(training),
        "elapsed": training.elapsed,
        "attempt": _stored_attempt(training.attempt),
        "head": training.replay.head,
        "episodes": list(training.replay.episodes),
        **_random_states(training),
    }
    target = folder / f"{training.frame:012d}.npz"
    arrays: dict[str, Any] = training.learner.state()
    try:
        with replaced_whole(target) as temporary, open(temporary, "wb") as file:
            np.savez(file, counters=np.array(json.dumps(counters)), **arrays)
    except FormatError as error:
        raise ResumeError(f"{error}; make room, then go on (vrltrain resume)") from error


def prune_states(folder: Path, frame: int) -> None:
    """Remove the archives of every frame but this one."""
    for path in folder.glob("*.npz"):
        if path.name != f"{frame:012d}.npz":
            path.unlink()


def remove_folder(folder: Path) -> None:
    """Remove the resume state of a run that is complete."""
    shutil.rmtree(folder, ignore_errors=True)


def restore_state(training: Training, folder: Path, frame: int, run: Path, digest: str) -> None:
    """Bring a fresh training to where the checkpoint at `frame` was written.

    Raises:
        ResumeError: the state of that frame is missing, damaged, or belongs to a run whose
            checkpoint has another `digest`.
    """
    path = folder / f"{frame:012d}.npz"
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if json.loads(str(arrays["counters"]))["digest"] != digest:
            raise ResumeError(f"{run} cannot be continued: {path} is the state of another run")
        _apply(training, arrays)
    except FileNotFoundError as error:
        raise ResumeError(
            f"{run} cannot be continued: {path} is missing (its last checkpoint is at {frame})"
        ) from error
    except ResumeError:
        raise
    except Exception as error:  # what zipfile and numpy raise on damage is of many types
        raise ResumeError(f"{run} cannot be continued: {path} is damaged ({error})") from error


def _apply(training: Training, arrays: Mapping[str, np.ndarray]) -> None:
    counters = json.loads(str(arrays["counters"]))
    training.learner.restore(arrays)
    training.step, training.elapsed = counters["step"], counters["elapsed"]
    training.attempt = _restored_attempt(counters["attempt"])
    episodes = ((start, length) for start, length in counters["episodes"])
    training.replay.restore(counters["head"], episodes)
    training.rng.bit_generator.state = counters["rng"]
    training.env.random_state.set_state(counters["env"])


def _stored_attempt(attempt: Attempt) -> dict[str, Any]:
    return {"number": attempt.number, "begun": attempt.begun, "readings": attempt.measurements}


def _restored_attempt(stored: Mapping[str, Any]) -> Attempt:
    return Attempt(stored["number"], stored["begun"], stored["readings"])


def has_gone_round(folder: Path, frame: int) -> bool:
    """Whether the replay's ring has overwritten its begin by the checkpoint at `frame`."""
    with np.load(folder / f"{frame:012d}.npz", allow_pickle=False) as archive:
        episodes = json.loads(str(archive["counters"]))["episodes"]
    return bool(episodes) and episodes[0][0] != 0
