"""A component's direction taken out of a layer: do the agent's returns need it?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vrlprobe._checks import check_at_least, check_jobs
from vrlprobe.agents.activations import known_layers
from vrlprobe.analyses.shared.ablation import (
    COMPUTED_BY,
    CONDITIONS,
    KINDS,
    Question,
    Trial,
    changes,
    draws_of,
)
from vrlprobe.analyses.shared.cache import Parts, part_key, sources_digest
from vrlprobe.analyses.shared.defaults import DRAWS, EPISODES, N_JOBS, UNITS
from vrlprobe.analyses.shared.jobs import Network, Rows, run_jobs
from vrlprobe.analyses.shared.pairs import Bench, environment, episode_starts
from vrlprobe.errors import SampleError
from vrlprobe.probes.registry import ProbeSettings
from vrlprobe.results.dataset import (
    BOUNDS,
    Track,
    run_attributes,
    sample_attributes,
)
from vrlprobe.results.file import package_versions
from vrlprobe.results.schemas.ablate import ABLATE
from vrlprobe.runs.collection import Runs, refuse_twice, run_list
from vrlprobe.runs.reader import Run
from vrlprobe.runs.record import config_digest
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.samples.selection import (
    check_runs,
    resolve_frame,
    run_labels,
    samples_for,
    warn_of_samples,
)
from vrlprobe.stats.bootstrap import bootstrap_interval, mean


@ABLATE.documented
def ablate(
    runs: Runs,
    samples: SampleSet | Runs | None = None,
    *,
    layer: str,
    component: str,
    frame: str | int = "last",
    probe: str = "ridge",
    direction: str = "pattern",
    directions: int = 1,
    units: int = UNITS,
    draws: int = DRAWS,
    episodes: int = EPISODES,
    keep_own: bool = False,
    seed: int = 0,
    cache: str | Path | None = None,
    n_jobs: int = N_JOBS,
    track: Track = iter,
) -> xr.Dataset:
    """Take the direction that a probe finds for a component out of a layer, and play on.

    A probe says that a component can be read from a layer. Whether the agent uses it shows in what
    it does without: activations are projected on what is orthogonal to the probe's direction.
    The change counts as far as controls do not have it, too.

    Parameters
    ----------
    runs : Run or list of Run
        Open runs of one task.
    samples : SampleSet or Run or list of Run, optional
        As for `probe`.
    layer : str
        Where activations are changed.
    component : str
        Component of the state, by name or alias.
    frame : str or int
        Of the checkpoint: "last", "best" or a frame.
    probe : str
        "ridge" or "omp": the kind of linear probe.
    direction : str
        "pattern", the covariance of the activations with the probe's prediction, or "weights", the
        probe's coefficients.
    directions : int
        Directions to remove, each of a probe that is fitted to what the ones before leave.
    units : int
        Strongest units that are set to their means, as a control.
    draws : int
        Random directions, and shuffled targets, to average over.
    episodes : int
        Episodes to play under each condition, the same initial states for all; 0 plays none.
    keep_own : bool
        Keep the run's own episodes in the test set.
    seed : int
        Of the initial states and the bootstrap.
    cache : str or Path, optional
        Folder for what is computed, so that an interrupted call continues where it stopped.
    n_jobs : int
        Processes to share the work, -1 for one per core.
    track : callable
        Wraps the sequence of work items, for instance to show progress.

    Returns
    -------
    xarray.Dataset
        The variables below. `test_r2` says whether the component is gone; intervals over runs are
        of six or more. The attribute `answer` says it in a sentence.

        {variables}

    Raises
    ------
    SampleError, UnknownLayerError, UnknownFrameError, TransplantError
        What was asked for is not there, or the agents cannot play.
    ValueError
        A number or a kind of probe that cannot be.
    """
    check_at_least(1, directions=directions, units=units, draws=draws)
    check_at_least(0, episodes=episodes)
    check_jobs(n_jobs)
    if probe not in ("ridge", "omp"):
        raise ValueError(f"a linear probe is ridge or omp, not {probe!r}")
    if direction not in KINDS:
        raise ValueError(f"a direction is {' or '.join(KINDS)}, not {direction!r}")
    runs = run_list(runs)
    refuse_twice(runs)
    chosen, keep_own, notes = samples_for(runs, samples, keep_own)
    check_runs(runs, chosen)
    (name,) = _one_component(chosen, component)
    asked = Question(layer, name, ProbeSettings(probe), direction, directions, units)
    trials = _trials(runs, chosen, asked, frame, keep_own, draws, episode_starts(seed, episodes))
    warn_of_samples(runs, chosen, notes)
    kept = Parts(None if cache is None else Path(cache) / "ablate")
    missing = [trial for _, trial in trials if trial.key not in kept]
    made = run_jobs(missing, n_jobs, kept)
    for _ in track(missing):
        next(made)
    result = _assembled(runs, frame, trials, kept, draws, episodes)
    _summarise(result, seed)
    arguments = {
        "layer": layer, "component": name, "frame": frame, "probe": probe,
        "direction": direction, "directions": directions, "units": units, "draws": draws,
        "episodes": episodes, "keep_own": keep_own, "seed": seed,
    }  # fmt: skip
    result.attrs |= run_attributes("ablate", runs, arguments) | sample_attributes(chosen)
    result.attrs |= {"layer": layer, "component": name}
    result.attrs["answer"] = answer(result)
    return result


def _one_component(samples: SampleSet, component: str) -> Sequence[str]:
    if not isinstance(component, str):
        raise SampleError(f"one component is ablated, by its name, not {component!r}")
    return samples.columns(component)


def _trials(
    runs: Sequence[Run],
    samples: SampleSet,
    asked: Question,
    frame: str | int,
    keep_own: bool,
    draws: int,
    starts: tuple[int, ...],
) -> list[tuple[dict[str, Any], Trial]]:
    """Every agent under every condition, with its place in the result."""
    code = sources_digest(COMPUTED_BY)
    found = []
    for label, run in zip(run_labels(runs), runs, strict=True):
        at = resolve_frame(run, frame)
        agent = run.agent(at)
        known_layers(agent, asked.layer)
        rows = Rows(samples, run, [asked.component], keep_own)
        played = environment(runs, agent.image_shape) if starts else {}
        bench = Bench(samples, starts, played)
        made_from = {
            "checkpoint": [run.digest(at), config_digest(run.config)],
            "samples": [samples.digest, rows.without],
            "question": {**vars(asked), "settings": vars(asked.settings)},
            "played": [starts, played],
            "code": code,
            "versions": package_versions(),
        }
        for condition in CONDITIONS:
            for draw in draws_of(condition, draws):
                key = part_key({**made_from, "condition": [condition, draw]})
                network = Network(run.location, at, run)
                where = {"run": label, "condition": condition, "draw": draw}
                found.append((where, Trial(key, network, rows, asked, condition, draw, bench)))
    return found


def _assembled(
    runs: Sequence[Run],
    frame: str | int,
    trials: Sequence[tuple[dict[str, Any], Trial]],
    kept: Parts,
    draws: int,
    episodes: int,
) -> xr.Dataset:
    """The result with every trial's scores at their place."""
    coords: dict[str, Sequence[Any]] = {
        "run": run_labels(runs),
        "condition": CONDITIONS,
        "draw": range(draws),
        "episode": range(episodes),
        "bound": BOUNDS,
    }
    result = ABLATE.blank(coords)
    for where, trial in trials:
        for name, value in kept[trial.key].items():
            result[name].loc[where] = value
    for label, run in zip(result["run"].values, runs, strict=True):
        at = resolve_frame(run, frame)
        result["at_frame"].loc[label] = at
        result["checkpoint"].loc[label] = run.digest(at)
    return result


def _summarise(result: xr.Dataset, seed: int) -> None:
    """Fill in the changes of return and their intervals."""
    if not result.sizes["episode"]:
        return
    probed = CONDITIONS.index("probe")
    means = {"return_change": "mean_change", "beyond": "mean_beyond"}
    for run in result["run"].values:
        found = changes(result["episode_return"].sel(run=run).values)
        for place, condition in enumerate(CONDITIONS):
            for name, values in (
                ("return_change", found[place]),
                ("beyond", found[probed] - found[place]),
            ):
                if condition != ("intact" if name == "return_change" else "probe"):
                    result[name].loc[run, condition] = _with_interval(values, seed)
    for name, over_runs in means.items():
        for condition in CONDITIONS:
            each = result[name].sel(condition=condition, bound="estimate").values
            if np.isfinite(each).all():
                result[over_runs].loc[condition] = _with_interval(each, seed)


def _with_interval(values: Any, seed: int) -> list[float]:
    return [float(mean(values)), *bootstrap_interval(values, mean, seed=seed)]


def answer(result: xr.Dataset) -> str:
    """In a sentence, what the ablation does beyond its controls.

    Parameters
    ----------
    result : xarray.Dataset
        What `ablate` returns.
    """
    r2 = result["test_r2"].mean(["run", "draw"])
    gone = (
        f"a fresh probe's R² goes from {r2.sel(condition='intact').item():.2f} to "
        f"{r2.sel(condition='probe').item():.2f}"
    )
    component, layer = result.attrs["component"], result.attrs["layer"]
    what = f"without the probe's direction of {component} in {layer}"
    if not result.sizes["episode"]:
        rmse = result["action_rmse"].sel(condition="probe", draw=0).mean("run").item()
        return f"{what} {gone}, and actions change by {rmse:.2g}"
    several = result.sizes["run"] > 1
    change, beyond = (
        result[over] if several else result[each].isel(run=0)
        for each, over in (("return_change", "mean_change"), ("beyond", "mean_beyond"))
    )
    return (
        f"{what} {gone}, and the return changes by {bounds(change.sel(condition='probe'))}; beyond "
        f"random directions of the same variance by {bounds(beyond.sel(condition='random'))}, "
        f"beyond shuffled targets by {bounds(beyond.sel(condition='shuffled'))}"
    )


def bounds(values: xr.DataArray) -> str:
    """`-12 (-20 to -3)`: an estimate with its interval, where it has one."""
    estimate, low, high = values.sel(bound=list(BOUNDS)).values.tolist()
    if estimate != estimate:
        return "-"
    return f"{estimate:+.0f}" + (f" ({low:+.0f} to {high:+.0f})" if low == low else "")
