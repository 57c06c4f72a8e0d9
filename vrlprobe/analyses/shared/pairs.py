"""One agent's CNN with another's MLP: measured on shared samples, played from shared starts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import r2_score
from threadpoolctl import ThreadpoolController
from torch import Tensor

from vrlprobe import metrics as measure
from vrlprobe.agents.activations import OUTPUT, Observations, extract_activations
from vrlprobe.agents.parts import evaluating
from vrlprobe.agents.stitched import StitchedAgent
from vrlprobe.analyses.shared.jobs import Network
from vrlprobe.device import device_of, read_only
from vrlprobe.errors import SampleError, TransplantError, VrlprobeError
from vrlprobe.metrics.representation import CONSTANT
from vrlprobe.probes import Scores
from vrlprobe.probes.linear_map import LinearMap, fit_linear_map
from vrlprobe.runs.reader import Run
from vrlprobe.runs.settings import whole
from vrlprobe.samples.sample_set import SPLITS, SampleSet, Stacked

Floats = npt.NDArray[np.floating[Any]]

COMPUTED_BY = (
    *("agents", "device", "envs", "metrics", "samples"),
    *("probes/arrays", "probes/linear_map", "probes/principal", "analyses/shared/pairs"),
)
"""The modules whose code makes a pair's numbers out of two checkpoints and samples."""
ADAPTERS = ("none", "ridge")
"""What is between CNN and MLP: nothing, or a linear map fitted by ridge regression."""
RANKED = "mlp1"
"""The layer whose numerical rank is measured, the paper's."""
ACTION_REPEAT = 2
"""DrQ-v2's, for runs whose config does not say."""
FEATURES_AT_ONCE = 64
"""Observations whose features are computed at a time."""


def episode_starts(seed: int, episodes: int) -> tuple[int, ...]:
    """A seed for each episode; those of fewer episodes are the first ones of more."""
    return tuple(np.random.SeedSequence(seed).generate_state(episodes).tolist())


def environment(runs: Sequence[Run], image_shape: Sequence[int]) -> dict[str, Any]:
    """Arguments of the environment in which agents of these runs play.

    Raises:
        TransplantError: the images are none that it makes, or the runs render differently.
    """
    from vrlprobe.envs.pixels import RENDER_MODES

    run = runs[0]
    stack = run.layout.frame_stack
    channels, height, width = image_shape
    if channels != 3 * stack or height != width:
        raise TransplantError(
            f"{run.path.name} sees {channels} x {height} x {width}: only stacks of square colour "
            "images can be played"
        )
    renders = {str(each.config.get("render")) for each in runs} & set(RENDER_MODES)
    if len(renders) > 1:
        raise TransplantError(
            f"the runs render differently ({', '.join(sorted(renders))}), so their CNNs know "
            "different images: take runs that render alike"
        )
    return {
        "task": str(run.config.get("task")),
        "image_size": height,
        "frame_stack": stack,
        "action_repeat": whole(run, "action_repeat", ACTION_REPEAT),
        "render": renders.pop() if renders else RENDER_MODES[0],
    }


@dataclass(frozen=True)
class Bench:
    """What all pairs of a result are measured and played on.

    Attributes:
        samples: pairs are measured on its test episodes; linear maps are fitted on the training
            episodes, their penalty is chosen on the validation episodes.
        starts: a seed for each episode, from which the task draws its initial state.
        environment: arguments of `PixelEnv` beside the seed.
    """

    samples: SampleSet
    starts: tuple[int, ...]
    environment: dict[str, Any]

    def rows(self, split: str) -> Stacked:
        """The observations of one of the three sets."""
        return self.samples.stacked(self.samples.rows(split))

    def returns(self, act: Callable[[np.ndarray], np.ndarray]) -> list[float]:
        """The return of an episode from each start, played with a policy.

        Raises:
            SampleError: the policy has another number of actions than the task.
        """
        if not self.starts:
            return []
        from vrlprobe.envs.pixels import PixelEnv
        from vrlprobe.envs.record import record_episode

        found = []
        with PixelEnv(**self.environment) as env:
            given = act(np.zeros((1, *self.rows("test").shape[1:]), np.uint8)).shape[1]
            if given != env.n_actions:
                raise SampleError(
                    f"the agent has {given} actions, {env.task} takes {env.n_actions}"
                )
            for start in self.starts:
                env.random_state.seed(start)
                found.append(record_episode(env, act, keep_images=False).episode_return)
        return found


@dataclass(frozen=True)
class Pair:
    """A CNN with an MLP, to be measured and played; it can be sent to another process."""

    key: str
    name: str
    """How messages call it."""
    cnn: Network
    mlp: Network
    adapter: str
    bench: Bench

    def done(self) -> Iterator[tuple[str, Scores]]:
        """Its key and scores: one thread, as the last digits depend on their number.

        Raises:
            VrlprobeError: it cannot play, or its features or actions are not finite.
        """
        with one_thread():
            try:
                yield self.key, self._scores()
            except VrlprobeError as error:
                raise type(error)(f"{self.name}: {error}") from error

    def _scores(self) -> Scores:
        cnn, mlp = self.cnn.agent(), self.mlp.agent()
        between: LinearMap | None = None
        scores: dict[str, Any] = {}
        if self.adapter != "none":
            between, scores = fit_between(cnn, mlp, self.bench)
        agent = StitchedAgent(cnn, mlp, between)
        scores |= measured(agent, (cnn, mlp), self.bench.rows("test"))
        scores["episode_return"] = self.bench.returns(agent.act)
        return {name: np.asarray(value) for name, value in scores.items()}


@cache
def _pools() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded; looking for them takes a while."""
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread in the block: last digits depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _pools().limit(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def features(agent: Any, observations: Observations) -> npt.NDArray[np.float32]:
    """What an agent's encoder hands to its actor, float32 (n_samples, n_features)."""
    found = []
    total = observations.shape[0]
    with torch.no_grad(), evaluating(agent):
        for begin in range(0, total, FEATURES_AT_ONCE):
            part = observations[slice(begin, min(begin + FEATURES_AT_ONCE, total))]
            seen = read_only(part).to(device_of(agent))
            given: Tensor = agent.encoder(agent.normalise(seen))
            found.append(given.float().cpu().numpy())
    return np.concatenate(found)


def fit_between(cnn: Any, mlp: Any, bench: Bench) -> tuple[LinearMap, dict[str, Any]]:
    """The linear map from one encoder's features to another's, and how good it is.

    Raises:
        SampleError: features are not finite.
    """
    X, Y = ({name: features(agent, bench.rows(name)) for name in SPLITS} for agent in (cnn, mlp))
    try:
        between = fit_linear_map(X["train"], Y["train"], (X["val"], Y["val"]))
    except ValueError as error:
        raise SampleError(f"no linear map can be fitted: {error}") from None
    predicted = between(torch.from_numpy(X["test"])).numpy()
    quality = {
        "adapter_r2": r_squared(predicted, Y["test"]),
        "adapter_penalty": between.penalty,
        "adapter_at_edge": between.at_edge,
    }
    return between, quality


def measured(agent: StitchedAgent, donors: tuple[Any, Any], seen: Stacked) -> dict[str, Any]:
    """A pair's actions on observations, and how they agree with those of its CNN's and MLP's donor.

    Returns:
        `action_spread`, `numerical_rank`, and `action_mse` and `action_r2`, one value a donor.
    """
    wanted = [name for name in (RANKED, OUTPUT) if name in agent.layers]
    found = extract_activations(agent, seen, wanted)
    actions = found[OUTPUT]
    own = [extract_activations(donor, seen, OUTPUT)[OUTPUT] for donor in donors]
    rank = float("nan")
    if RANKED in found and np.isfinite(found[RANKED]).all():
        rank = measure.numerical_rank(measure.singular_values(found[RANKED]))
    return {
        "action_spread": measure.action_std(actions),
        "numerical_rank": rank,
        "action_mse": [float(((actions - each).astype(np.float64) ** 2).mean()) for each in own],
        "action_r2": [r_squared(actions, each) for each in own],
    }


def r_squared(predicted: Floats, true: Floats) -> float:
    """R² over all columns together: 1 - sum of squared errors / that of the columns' own means.

    This is scikit-learn's `r2_score` with `multioutput="variance_weighted"`. NaN where the true
    values are constant to rounding, or anything is not finite.
    """
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        return float("nan")
    moves = np.ptp(true, axis=0) > CONSTANT * np.abs(true).max(axis=0)
    if not moves.any():
        return float("nan")
    wide = (np.asarray(each, np.float64) for each in (true, predicted))
    return float(r2_score(*wide, multioutput="variance_weighted"))
