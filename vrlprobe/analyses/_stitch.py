"""Every CNN with every MLP of some checkpoints, played without training: which part is to blame?"""

import logging
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe._checks import check_at_least, check_jobs
from vrlprobe.agents.activations import OUTPUT
from vrlprobe.agents.stitched import StitchedAgent
from vrlprobe.analyses.shared.blame import answer
from vrlprobe.analyses.shared.cache import Parts, part_key, sources_digest
from vrlprobe.analyses.shared.defaults import EPISODES, N_JOBS
from vrlprobe.analyses.shared.donors import (
    Donor,
    Pool,
    refuse_other_settings,
)
from vrlprobe.analyses.shared.jobs import Network, run_jobs
from vrlprobe.analyses.shared.pairs import (
    ADAPTERS,
    COMPUTED_BY,
    Bench,
    Pair,
    environment,
    episode_starts,
    features,
)
from vrlprobe.analyses.shared.places import Places, named_donors
from vrlprobe.errors import TransplantError
from vrlprobe.probes import Scores
from vrlprobe.results.dataset import (
    BOUNDS,
    Track,
    run_attributes,
    sample_attributes,
)
from vrlprobe.results.file import package_versions
from vrlprobe.results.schemas.stitch import STITCH
from vrlprobe.runs.collection import Runs, run_list
from vrlprobe.runs.reader import Run
from vrlprobe.runs.record import config_digest
from vrlprobe.runs.schema import parameters_digest
from vrlprobe.samples.make import make_samples, weak_runs
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import Frames, check_runs, samples_for
from vrlprobe.samples.selection import warn_of_samples as warn_samples
from vrlprobe.stats.bootstrap import bootstrap_interval, mean, ratio

PARTS = ("cnn", "mlp")
SHARED = ("task", "architecture", "image_size", "image_shape", "frame_stack", "action_repeat")
"""Settings that stitched checkpoints must share: what they see and what their actions mean."""
SHOWN = 5
"""Pairs that a warning lists."""


@dataclass(frozen=True)
class _Part:
    """A checkpoint whose CNN and MLP are exchanged."""

    label: str
    donor: Donor
    width: int = 0

    @property
    def network(self) -> Network:
        run = self.donor.run
        return Network(run.location, self.donor.frame, run, self.donor.seed)

    @property
    def digest(self) -> str:
        if self.donor.frame is not None:
            return self.donor.run.digest(self.donor.frame)
        return parameters_digest(self.donor.tensors).hex()

    @property
    def trained(self) -> bool:
        """Whether an update was logged; checkpoints of a log that does not say count as trained."""
        run, frame = self.donor.run, self.donor.frame
        if frame is None:
            return False
        if run.layout.log.get("updates") != ():
            return True
        return float(run.read("log/updates", run.row(frame))) != 0


logger = logging.getLogger(__name__)


@STITCH.documented
def stitch(
    checkpoints: Places,
    samples: SampleSet | Runs | None = None,
    *,
    frames: Frames = "last",
    episodes: int = EPISODES,
    adapter: bool = False,
    runs: Places = "runs",
    task: str | None = None,
    good: float | None = None,
    bad: float | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    n_jobs: int = N_JOBS,
    track: Track = iter,
) -> xr.Dataset:
    """Play every CNN with every MLP of some checkpoints, without training them together.

    Where an agent is stuck, this tells which of its parts collapses the actions of others' parts.
    The interface is what the encoder hands to the actor, for DrQ-v2 the flattened cnn4.

    Args:
        checkpoints: two or more: open runs; run files, `seed3.h5`, with a checkpoint if another
            than the last is meant, `seed3.h5@20000`, `@best`, `@collapsed`, or several,
            `@0,20000` and `@all`; `good`, `middle` or `bad`, drawn from `runs`, another run at
            each mention; `blank`, freshly initialised.
        samples: a sample set, or open runs to make one from; the runs' own final rollouts if None,
            with a warning.
        frames: of the runs that are given without a checkpoint: "last", "all", "best", or frames.
        episodes: played with each pair, the same initial states for all pairs; 0 plays none, which
            leaves what is measured on the samples.
        adapter: also play every pair with a linear map between CNN and MLP. It is fitted by ridge
            regression to give the features of the MLP's own encoder: on the training episodes of
            the samples, the penalty chosen on the validation episodes.
        runs: folder whose finished runs classes are drawn from, or run files.
        task: of the runs drawn from; needed where there are several.
        good, bad: thresholds of the classes by return; each run's own profile's if None.
        seed: of the initial states, of blank networks, of the draw and of the bootstrap.
        cache: a folder for what is measured and played, so that an interrupted call continues
            where it stopped; None keeps it for this call alone.
        n_jobs: processes to share the work, -1 for one a core.
        track: wraps the sequence of work items, for instance to show progress.

    Returns:
        The variables below; without `adapter`, the dimension of that name has one label. R² is 1 -
        squared differences / variance, of all actions together (scikit-learn's
        `variance_weighted`), NaN where that agent's action is constant. NaN where a CNN's features
        do not fit an MLP. The attribute `answer` says in a sentence which part collapses the
        others.

        {variables}

    Raises:
        TransplantError: fewer than two checkpoints, or ones that do not see or do the same.
        SampleError, UnknownFrameError, FormatError: what was asked for is not there.
        ValueError: a number that cannot be.
    """
    check_at_least(0, episodes=episodes)
    check_jobs(n_jobs)
    with ExitStack() as stack:
        pool = Pool(runs, stack, seed=seed, pair="different", good=good, bad=bad, task=task)
        parts = _with_widths(_parts(checkpoints, frames, pool))
        used = list({part.donor.run.location: part.donor.run for part in parts}.values())
        chosen, notes = _samples(used, samples)
        check_runs(used, chosen)
        shape = parts[0].network.agent().image_shape
        played_in = environment([part.donor.run for part in parts], shape)
        bench = Bench(chosen, episode_starts(seed, episodes), played_in)
        warn_samples(used, chosen, notes)
        pairs = _pairs(parts, bench, ADAPTERS if adapter else ADAPTERS[:1])
        kept = Parts(None if cache is None else Path(cache) / "stitch")
        _compute([pair for _, pair in pairs], kept, n_jobs, track)
        result = _assembled(parts, [(where, kept[pair.key]) for where, pair in pairs], bench, seed)
        arguments = {"episodes": int(episodes), "adapter": bool(adapter), "seed": int(seed)}
        result.attrs |= run_attributes("stitch", used, arguments) | sample_attributes(chosen)
    result.attrs["n_test"] = len(chosen.rows("test"))
    result.attrs["answer"] = answer(result)
    return result if adapter else result.isel(adapter=0, drop=True)


def _parts(checkpoints: Places, frames: Frames, pool: Pool) -> list[_Part]:
    """The checkpoints asked for, with labels of their own.

    Raises:
        TransplantError: fewer than two, the same twice, or no run that says how large blank parts
            are.
    """
    parts = [_Part(label, donor) for label, donor in named_donors(checkpoints, frames, pool)]
    known: dict[str, str] = {}
    for part in parts:
        if (other := known.setdefault(part.digest, part.label)) != part.label:
            raise TransplantError(f"{other} and {part.label} are one checkpoint: give it once")
    if len(parts) < 2:
        raise TransplantError(
            "stitching needs two checkpoints or more, of several runs or of one "
            f"(RUN@all, RUN@F1,F2): found {', '.join(p.label for p in parts) or 'none'}"
        )
    _check_alike(parts)
    return parts


def _check_alike(parts: Sequence[_Part]) -> None:
    """Raise TransplantError for checkpoints that do not see or do the same."""
    first = parts[0].donor.run
    for part in parts:
        run = part.donor.run
        sides = f"{run.path.name} cannot be stitched to {first.path.name}"
        refuse_other_settings(first, run, SHARED, sides)


def _with_widths(parts: Sequence[_Part]) -> list[_Part]:
    """The parts with the width of what each CNN hands to its MLP.

    Raises:
        FormatError: an agent has no CNN and MLP that can be exchanged.
        TransplantError: its output is no action.
    """
    found = []
    for part in parts:
        agent = part.network.agent()
        stitched = StitchedAgent(agent, agent)
        if OUTPUT not in stitched.layers:
            raise TransplantError(
                f"{part.label} gives {list(stitched.layers)[-1]}, needed actions that can be played"
            )
        black = np.zeros((1, *agent.image_shape), np.uint8)
        found.append(replace(part, width=features(agent, black).shape[1]))
    return found


def _samples(
    runs: Sequence[Run], samples: SampleSet | Runs | None
) -> tuple[SampleSet, Sequence[str]]:
    """The set to measure on, and what is to be told of where it comes from."""
    if samples is not None or len(runs) == 1:
        found, _, notes = samples_for(runs, samples, keep_own=True)
        return found, notes
    recorded = [run for run in run_list(runs) if len(run.frames) and any(_last_images(run))]
    notes = [f"a source does not perform well: {phrase}" for phrase in weak_runs(recorded)]
    notes.append(
        "no sample set: actions are compared on the runs' own rollouts, so not on what other "
        "results are (`samples` takes a set or well-performing runs)"
    )
    return make_samples(recorded or runs), notes


def _last_images(run: Run) -> Sequence[int]:
    return run.rollout(int(run.frames[-1])).n_images


def _pairs(
    parts: Sequence[_Part], bench: Bench, adapters: Sequence[str]
) -> list[tuple[dict[str, str], Pair]]:
    """Every pair that can be played, with its place in the result."""
    common = {
        "samples": bench.samples.digest,
        "starts": bench.starts,
        "environment": bench.environment,
        "code": sources_digest(COMPUTED_BY),
        "versions": package_versions(),
    }
    identity = {p.label: [p.digest, config_digest(p.donor.run.config)] for p in parts}
    found, left_out = [], []
    for adapter in adapters:
        for cnn in parts:
            for mlp in parts:
                name = f"CNN of {cnn.label} ({cnn.width:,}) with MLP of {mlp.label} ({mlp.width:,})"
                if adapter == "none" and cnn.width != mlp.width:
                    left_out.append(name)
                    continue
                made_from = {"cnn": identity[cnn.label], "mlp": identity[mlp.label]}
                key = part_key({**common, **made_from, "adapter": adapter})
                pair = Pair(key, name, cnn.network, mlp.network, adapter, bench)
                where = {"cnn": cnn.label, "mlp": mlp.label, "adapter": adapter}
                found.append((where, pair))
    if left_out:
        more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
        fits = "`adapter=True` fits a linear map between them"
        warnings.warn(
            f"not played without a map, as the number of features differs ({fits}): "
            f"{', '.join(left_out[:SHOWN])}{more}",
            UserWarning,
            stacklevel=3,
        )
    return found


def _compute(pairs: Sequence[Pair], kept: Parts, n_jobs: int, track: Track) -> None:
    """Measure and play the pairs that are missing."""
    missing = list({pair.key: pair for pair in pairs if pair.key not in kept}.values())
    logger.info("%d of %d pairs to measure and play", len(missing), len(pairs))
    made = run_jobs(missing, n_jobs, kept)
    for _ in track(missing):
        next(made)


def _assembled(
    parts: Sequence[_Part], scores: Sequence[tuple[dict[str, str], Scores]], bench: Bench, seed: int
) -> xr.Dataset:
    """The result with every pair's scores at their place, and what follows from them."""
    labels = [part.label for part in parts]
    used = [where["adapter"] for where, _ in scores]
    coords: dict[str, Sequence[Any]] = {
        "cnn": labels,
        "mlp": labels,
        "adapter": [name for name in ADAPTERS if name in used],
        "episode": range(len(bench.starts)),
        "part": PARTS,
        "bound": BOUNDS,
        "donor": labels,
    }
    result = STITCH.blank(coords)
    for where, values in scores:
        for name, value in values.items():
            result[name].loc[where] = value
    for part in parts:
        for name, value in _described(part).items():
            result[name].loc[part.label] = value
    for where, _ in scores:
        _tell_returns(result, where, seed)
    return result


def _described(part: _Part) -> dict[str, Any]:
    donor = part.donor
    return {
        "donor_run": donor.run.path.name,
        "donor_frame": -1 if donor.frame is None else donor.frame,
        "trained": part.trained,
        "recorded_return": np.nan if donor.frame is None else donor.run.mean_return(donor.frame),
        "n_features": part.width,
        "checkpoint": part.digest,
    }


def _tell_returns(result: xr.Dataset, where: dict[str, str], seed: int) -> None:
    """Fill in a pair's mean return, and what share it is of its donors' returns."""
    returns = result["episode_return"].loc[where].values
    result["mean_return"].loc[where] = [
        mean(returns), *bootstrap_interval(returns, mean, seed=seed)
    ]  # fmt: skip
    for part in PARTS:
        own = {"cnn": where[part], "mlp": where[part], "adapter": "none"}
        donors = result["episode_return"].loc[own].values
        result["relative_return"].loc[{"part": part, **where}] = list(ratio(returns, donors, seed))
