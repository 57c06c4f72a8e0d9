"""Metrics of checkpoints: the numbers are those of the arrays, and the right observations."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from vrlprobe import metrics as numbers
from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses import metrics
from vrlprobe.errors import SampleError
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FRAMES = (0, 1000, 2000)
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def run(make_run):
    path = make_run("seed1.h5", seed=1, frames=FRAMES)
    with open_run(path) as opened:
        yield opened


@pytest.fixture
def other(make_run):
    path = make_run("seed2.h5", seed=2, frames=FRAMES[:2])
    with open_run(path) as opened:
        yield opened


def test_a_checkpoint_that_diverged_has_no_metrics_and_spoils_no_other(run, other, monkeypatch):
    agent = run.agent(2000)
    agent.actor.policy[0].bias.data[3] = np.nan
    monkeypatch.setattr(
        run, "agent", lambda frame: agent if frame == 2000 else type(run).agent(run, frame)
    )
    with pytest.warns(UserWarning, match="NaN or infinite activations.*: seed1 at 2000$"):
        found = metrics(run, [other])
    whole = np.isfinite(found["numerical_rank"].squeeze("run").values)
    assert whole.tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    assert np.isfinite(found["action_spread"].values).tolist() == [[True, True, False]]


def test_the_numbers_are_those_of_the_activations(run, other) -> None:
    samples = make_samples([other])
    found = metrics(run, samples, frames=[1000], n_samples=100)
    rows = np.linspace(0, len(samples) - 1, 100).round().astype(int)
    arrays = extract_activations(run.agent(1000), samples.observations(rows))
    for layer in ("mlp1", "mlp2"):
        at = found.sel(run="seed1", frame=1000, layer=layer)
        for name, value in numbers.layer_metrics(arrays[layer]).items():
            assert at[name].item() == pytest.approx(value, nan_ok=True), name
    at = found.sel(run="seed1", frame=1000)
    assert at["action_spread"].item() == pytest.approx(numbers.action_std(arrays["action"]))
    assert at["episode_return"].item() == pytest.approx(run.rollout(1000).mean_return)
    assert found.attrs["n_samples"] == 100
    assert found.attrs["samples"] == samples.digest


def test_the_cosine_of_units_tells_the_fixtures_apart_and_their_correlation_does_not() -> None:
    """The table of docs/collapse.md, "Which correlation", samples of the learned agent."""
    names = ("correlation_samples", "cosine_neurons", "correlation_neurons")
    with open_runs(str(FIXTURES / "walker_walk-*.h5")) as runs:
        found = metrics(runs, runs[1:], layers=["mlp1", "mlp2"])
    table = (FIXTURES.parent / "docs" / "collapse.md").read_text()
    for name in names:
        (row,) = re.findall(rf"^\| `{name}` \|[^|]+\|(.+)\|$", table, re.MULTILINE)
        for phase, cell in zip(("collapsed", "healthy", ""), row.split("|"), strict=True):
            values = found[name].where(found["stage"] == phase).where(found["checkpoint"] != "")
            for layer, told in zip(("mlp1", "mlp2"), cell.split(","), strict=True):
                at = values.sel(layer=layer)
                low, high = at.min().item(), at.max().item()
                ends = [float(end) for end in told.split(" to ")]
                assert [low, high] == pytest.approx([ends[0], ends[-1]], abs=0.0051), (name, phase)
    cosine = found["cosine_neurons"]
    collapsed = cosine.where(found["stage"] == "collapsed").min(["run", "frame"])
    assert (collapsed > cosine.where(found["stage"] != "collapsed").max(["run", "frame"])).all()


def test_gradient_norms_are_those_that_the_training_logged() -> None:
    with open_run(FIXTURES / "cartpole_balance.h5") as run:
        found = metrics(run, make_samples([run]))["grad_norm"].isel(run=0)
        logged = run.log["grad_norm"]
    assert np.isfinite(logged[1:]).all()
    np.testing.assert_allclose(found[1:], logged[1:], rtol=1e-4)


def test_a_run_without_batches_has_no_gradient_norms(run, other) -> None:
    assert np.isnan(metrics(run, make_samples([other]))["grad_norm"]).all()


def test_zeros_mean_nothing_behind_a_tanh(run, other) -> None:
    found = metrics(run, make_samples([other]), frames="last").isel(run=0, frame=0)
    assert np.isnan(found["dead_units"].sel(layer="mlp0"))
    assert np.isnan(found["zero_fraction"].sel(layer="mlp0"))
    assert np.isfinite(found["dormant_ratio"].sel(layer="mlp0"))
    assert np.isfinite(found["dead_units"].sel(layer="mlp1"))


def test_every_run_and_frame_sees_the_same_number_of_observations(run, other) -> None:
    shared = metrics([run, other], make_samples([other]), n_samples=50)
    assert shared.attrs["n_samples"] == 50
    assert shared["checkpoint"].sel(run="seed2", frame=2000).item() == ""
    assert np.isnan(shared["numerical_rank"].sel(run="seed2", frame=2000)).all()
    own = metrics([run, other], "own", n_samples=10**6)
    images = [sum(r.rollout(f).n_images) for r in (run, other) for f in r.frames.tolist()]
    assert own.attrs["n_samples"] == min(images)
    assert own.attrs["samples"] == "own"


def test_own_rollouts_are_the_checkpoints_own(run) -> None:
    found = metrics(run, "own", frames=[1000], n_samples=10**6).isel(run=0, frame=0)
    episodes = [e.observations() for e in run.rollout(1000) if e.images is not None]
    actions = run.agent(1000).act(np.concatenate(episodes))
    assert found["action_spread"].item() == pytest.approx(numbers.action_std(actions))


@pytest.mark.parametrize("option", [{"n_samples": 1}, {"batch_size": -1}])
def test_numbers_that_cannot_be(run, option) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(option))} must be at least [12]"):
        metrics(run, [run], **option)


def test_a_run_is_given_once(run, other) -> None:
    with pytest.raises(SampleError, match="are one run: give it once"):
        metrics([run, other, run], "own")


def test_samples_are_a_set_or_runs(run) -> None:
    with pytest.raises(SampleError, match=r"open runs are needed .* not ndarray"):
        metrics(run, np.zeros((4, 9, 20, 20), np.uint8))  # type: ignore[arg-type]


def test_warnings_point_at_the_call(run, make_run) -> None:
    with pytest.warns(UserWarning, match="seed1.* are of its own rollouts") as alone:
        metrics(run, n_samples=5, frames="last")
    half = make_run("half.h5", seed=3, frames=FRAMES, config={"precision": "bfloat16"})
    with (
        open_run(half) as other,
        pytest.warns(UserWarning, match="different precision are mixed") as mixed,
    ):
        metrics(run, make_samples([other]), n_samples=5, frames="last")
    assert {warning.filename for warning in (*alone, *mixed)} == {__file__}


def test_own_needs_images(make_run) -> None:
    with open_run(make_run("blind.h5", images=False)) as run, pytest.raises(SampleError) as error:
        metrics(run, "own")
    assert "recorded no images at frame" in str(error.value)


def test_arguments_and_runs_are_recorded(run, other) -> None:
    found = metrics(run, make_samples([other]), frames="last", dormant_threshold=0.1)
    assert json.loads(found.attrs["arguments"]) == {"frames": "last", "dormant_threshold": 0.1}
    assert "seed1" in json.loads(found.attrs["configs"])


def test_stages_are_those_of_the_log(make_run) -> None:
    log = {
        "updates": [0, 9, 18, 27, 36],
        "action_spread": [0.06, 1e-4, 1e-4, 0.5, 0.5],
        "grad_norm": [[np.nan] * 3, *([[1.0, 0.5, 0.25]] * 4)],
    }
    frames = (0, 1000, 2000, 3000, 4000)
    with open_run(make_run("a.h5", frames=frames, log=log)) as run:
        found = metrics(run, [run], frames=[0, 2000, 4000], n_samples=20).isel(run=0)
        assert found["stage"].values.tolist() == ["", "collapsed", "healthy"]
        assert found["stage_begin"].values.tolist() == [-1, 1000, 3000]
        assert found["stage_end"].values.tolist() == [-1, 3000, -1]
        assert found["checkpoint"].values[1] == run.digest(2000)


def test_a_gradient_norm_that_cannot_be_computed_is_the_logged_one(make_run) -> None:
    log = {"grad_norm": [[1.0, 0.5, 0.25]] * 3}
    with open_run(make_run("a.h5", log=log)) as run:
        found = metrics(run, [run], frames="last", n_samples=20).isel(run=0, frame=0)
        assert found["grad_norm"].values.tolist() == [1.0, 0.5, 0.25]
