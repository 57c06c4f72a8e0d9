"""What a sweep is to train: its jobs, and which of them are done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from joblib import cpu_count

from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.record import read_record
from vrltrain.config.settings import TrainConfig
from vrltrain.paths import record_path
from vrltrain.scratch import place_of

Outcome = Literal["done before", "done", "failed"]
SEEDS = 100_000
"""In a sweep, at most."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        config: its settings.
        path: where its file belongs.
        init: the file whose networks it begins with; from scratch if None.
        scratch: the folder in which it is written until it is finished; that of `path` if None.
    """

    config: TrainConfig
    path: Path
    init: Path | None = None
    scratch: Path | None = None

    @property
    def place(self) -> Path:
        """Where its file is until it is finished."""
        return place_of(self.path, self.scratch)


@dataclass(frozen=True)
class Result:
    """How a job ended, and what it said when it failed."""

    job: Job
    outcome: Outcome
    message: str = ""


def jobs_of(config: TrainConfig, seeds: Sequence[int], folder: Path) -> list[Job]:
    """One job a seed, `seed3.h5` each."""
    return [Job(replace(config, seed=seed), folder / f"seed{seed}.h5") for seed in seeds]


def jobs_from(configs: Mapping[Path, TrainConfig], seeds: Sequence[int], folder: Path) -> list[Job]:
    """One job for each init and seed, `good-bad-seed3.h5`; seed by seed, so that cells keep step.

    Raises:
        VrlprobeError: two inits of one name.
    """
    names = [path.stem for path in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise VrlprobeError(f"two inits are called {twice[0]}: their runs need different folders")
    return [
        Job(replace(config, seed=seed), folder / f"{path.stem}-seed{seed}.h5", path)
        for seed in seeds
        for path, config in configs.items()
    ]


def at_once(config: TrainConfig) -> int:
    """How many runs of these settings this machine can train side by side.

    As many as have a processor core for each of their threads, at least one; on another device no
    more than it has room for.

    Raises:
        DeviceError: torch cannot compute there.
    """
    n_runs: int = max(1, cpu_count() // config.threads)
    if config.device.partition(":")[0] == "cpu":
        return n_runs
    from vrltrain.device_replay import room_for  # loads torch

    return min(n_runs, room_for(config))


def parse_seeds(text: str) -> list[int]:
    """`0-19`, `1,3,5` or both, in order and once each.

    Raises:
        ValueError: anything else.
    """
    seeds: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()) or part.strip().endswith("-"):
            raise ValueError(f"seeds are 0-19 or 1,3,5, not {text!r}")
        low, high = int(first), int(last or first)
        if high < low:
            raise ValueError(f"seeds count upwards, {part.strip()!r} does not")
        if high - low >= SEEDS:
            raise ValueError(f"{part.strip()!r} are more than {SEEDS:,} seeds")
        seeds.update(range(low, high + 1))
    return sorted(seeds)


def is_done(job: Job) -> bool:
    """Whether the job's record says that a run of these very settings was finished.

    Raises:
        VrlprobeError: the record there is of other settings.
    """
    path = record_path(job.path)
    if not path.exists():
        return False
    check_settings(job, path, read_record(path).config)
    return True


def ended(job: Job) -> Result | None:
    """The result of a job whose record says that nothing is left to train; None of any other."""
    try:
        return Result(job, "done before") if is_done(job) else None
    except VrlprobeError as error:
        return Result(job, "failed", str(error))


def recorded(jobs: Iterable[Job], folder: Path) -> dict[Path, Path]:
    """By a job's path: the record in `folder` of a finished run of the same settings.

    Raises:
        VrlprobeError: a file there is no record.
    """
    found = {path: _whole(read_record(path).config) for path in sorted(folder.glob("*.json"))}
    wanted = {job.path: job.config.stored() for job in jobs}
    return {
        path: record
        for path, settings in wanted.items()
        for record, config in found.items()
        if _differing(settings, config) is None
    }


def check_settings(job: Job, path: Path, config: Mapping[str, Any]) -> None:
    """Refuse what was found at `path` where its settings are not the job's."""
    if differing := _differing(job.config.stored(), _whole(config)):
        raise VrlprobeError(f"{path} is of other settings ({differing}): choose another folder")


def _whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings with the defaults of those that it lacks: older ones lack new settings."""
    return TrainConfig().stored() | dict(config)


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """The first setting, by name, in which a run's are not those wanted, with both values.

    What only a run knows does not differ: the length of its actions, the precision behind `auto`.
    """
    known = {"action_dim": found.get("action_dim")}
    if wanted["precision"] == "auto":
        known["precision"] = found.get("precision")
    whole = {**wanted, **known}
    differing = (key for key in sorted(whole) if whole[key] != found.get(key))
    return next((f"{key} {found.get(key)}, wanted {whole[key]}" for key in differing), None)
