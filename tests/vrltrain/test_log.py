"""What a training logs beside losses, against the same written out by hand."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vrltrain.tiny import TINY
from vrlprobe.agents.drqv2 import TANHS
from vrlprobe.runs.reader import open_run
from vrltrain.drqv2 import weights_of
from vrltrain.run import begin
from vrltrain.train import Q_ACTIONS, Training, quiet

EARLY = replace(TINY, total_frames=2001)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("log") / "run.h5"
    begin(EARLY, path, quiet, quiet)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"eval_every_frames": 2000},
        {"norm_batch_size": 8},
        {"eval_episodes": 3, "final_episodes": 1},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_how_a_training_is_evaluated_does_not_change_it(trained, tmp_path, changes) -> None:
    begin(replace(EARLY, **changes), tmp_path / "run.h5", quiet, quiet)
    with open_run(trained) as one, open_run(tmp_path / "run.h5") as other:
        assert one.log["updates"].values[-1] > 0
        assert one.digest(2000) == other.digest(2000)


def test_another_number_of_evaluations_plays_the_same_episodes(trained, tmp_path) -> None:
    begin(replace(EARLY, eval_every_frames=2000), tmp_path / "run.h5", quiet, quiet)
    with open_run(trained) as one, open_run(tmp_path / "run.h5") as other:
        for mine, its in zip(one.rollout(2000), other.rollout(2000), strict=True):
            np.testing.assert_array_equal(mine.states, its.states)


def test_weight_norms_are_those_of_the_checkpoint(trained) -> None:
    with open_run(trained) as run:
        logged = run.log["weight_norm"].sel(frame=2000)
        for name, array in run.parameters(2000).items():
            if array.ndim > 1 and not name.startswith("critic_target"):
                expected = np.sqrt((array.astype(float) ** 2).sum())
                assert float(logged.sel(weight=name)) == pytest.approx(expected, rel=1e-5)
        assert logged.sizes == {"weight": 15}


def linear(x: np.ndarray, parameters, name: str) -> np.ndarray:
    return x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]


def normed(x: np.ndarray, parameters, name: str) -> np.ndarray:
    centred = x - x.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return scaled * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def test_what_enters_each_tanh(trained) -> None:
    """By numpy, from the stored batch and the encoder's features."""
    with open_run(trained) as run:
        observations, _ = run.batch(2000)
        agent, parameters = run.agent(2000), run.parameters(2000)
        with torch.no_grad():
            features = agent.encoder(agent.normalise(torch.from_numpy(observations))).numpy()
        trunks = {}
        for part in ("actor", "critic"):
            projected = linear(features, parameters, f"{part}/trunk.0")
            trunks[part] = normed(projected, parameters, f"{part}/trunk.1")
        hidden = np.tanh(trunks["actor"])
        for name in ("policy.0", "policy.2"):
            hidden = np.maximum(linear(hidden, parameters, f"actor/{name}"), 0)
        expected = [trunks["actor"], linear(hidden, parameters, "actor/policy.4"), trunks["critic"]]
        for name, values in zip(TANHS, expected, strict=True):
            row = run.log.sel(frame=2000, tanh=name)
            assert float(row["pre_tanh"]) == pytest.approx(np.abs(values).mean(), rel=1e-4)
            spread = values.std(axis=0).mean()
            assert float(row["pre_tanh_spread"]) == pytest.approx(spread, rel=1e-4)


def test_q_values_are_the_smaller_of_both_critics(trained) -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (Q_ACTIONS, 1)).astype(np.float32)
    with open_run(trained) as run:
        observations, _ = run.batch(2000)
        agent = run.agent(2000)
        with torch.no_grad():
            features = agent.encoder(agent.normalise(torch.from_numpy(observations)))
            for place, action in enumerate(actions):
                repeated = torch.from_numpy(action).expand(len(features), -1)
                expected = torch.minimum(*agent.critic(features, repeated))[:, 0]
                found = agent.q_values(observations, actions)[:, place]
                np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)
        assert float(run.log["q_spread"].sel(frame=2000)) > 0


def test_gradients_and_moments_of_one_update(tmp_path) -> None:
    """After one update Adam's unbiased second moment is the gradient's square, by definition."""
    with closing(Training(TINY, tmp_path / "replay.bin")) as training:
        training.play_until(1000, quiet)
        assert np.isnan(training.learner.adam_rms()).all()
        training.learner.update(training.sample(), 0.5)
        weights = weights_of(training.agent)
        expected = [weight.grad.square().mean().sqrt().item() for weight in weights.values()]
        np.testing.assert_allclose(training.learner.adam_rms(), expected, rtol=1e-3)
        first = training.learner.take_means()["grad_rms"]
        np.testing.assert_allclose(first, expected, rtol=1e-4)
        squares = []
        for _ in range(2):
            training.learner.update(training.sample(), 0.5)
            squares.append([weight.grad.square().mean().item() for weight in weights.values()])
        means = training.learner.take_means()["grad_rms"]
        np.testing.assert_allclose(means, np.sqrt(np.mean(squares, axis=0)), rtol=1e-4)


def test_a_checkpoint_says_what_made_it(trained) -> None:
    with open_run(trained) as run:
        (stretch,) = run.stretches
        assert stretch["frame"] == 0
        assert stretch["precision"] == "float32"
        assert stretch["processor"]
        assert stretch["torch"] == torch.__version__
