"""Similarities against linear CKA of activations taken by hand, and on real agents."""

from pathlib import Path

import numpy as np
import pytest

from vrlprobe import extract_activations, metrics
from vrlprobe.analyses import similarity
from vrlprobe.analyses.shared.alike import classes_of, common_frames, pair_values
from vrlprobe.errors import SampleError, UnknownLayerError
from vrlprobe.runs.collection import open_runs
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def opened(make_run):
    """Two runs that share two of their frames, and a sample set."""
    paths = make_run("a.h5", seed=1), make_run("b.h5", seed=2, frames=(0, 2000, 3000), reward=0.1)
    with open_runs(*paths) as runs:
        yield runs, make_samples(runs[0], 60)


def test_every_pair_of_checkpoints_is_compared(opened):
    runs, samples = opened
    result = similarity(runs, samples, n_samples=30)
    assert result.sizes == {
        "run": 2, "frame": 4, "other_run": 2, "other_frame": 4, "layer": 7,
    }  # fmt: skip
    assert result.attrs["n_samples"] == 30
    seen = samples.observations(np.linspace(0, len(samples) - 1, 30).round().astype(int))
    here = {
        (run.path.stem, frame): extract_activations(run.agent(frame), seen)
        for run in runs
        for frame in run.frames.tolist()
    }
    for (run, frame), own in here.items():
        for (other, at), its in here.items():
            found = result["cka"].sel(run=run, frame=frame, other_run=other, other_frame=at)
            expected = [metrics.linear_cka(own[name], its[name]) for name in found["layer"].values]
            assert found.values == pytest.approx(expected, abs=2e-5)
    assert result["cka"].sel(run="a", frame=3000).isnull().all()
    assert result["final_return"].values == pytest.approx([40, 4])
    assert result["checkpoint"].sel(run="b", frame=3000) == runs[1].digest(3000)
    assert classes_of(result) == {"a": "good", "b": "bad"}
    assert common_frames(result) == [0, 2000]
    mlp2 = result["cka"].sel(layer="mlp2")
    pair = mlp2.sel(run="a", frame=2000, other_run="b", other_frame=2000).item()
    assert pair_values(mlp2, ["a", "b"], ["a", "b"], 2000) == [pytest.approx(pair)]


def test_layers_and_frames(opened):
    runs, samples = opened
    result = similarity(runs[0], samples, frames="last", layers=["cnn0", "mlp1"])
    assert result["layer"].values.tolist() == ["cnn0", "mlp1"]
    assert result["frame"].values.tolist() == [2000]
    assert result["cka"].values == pytest.approx(1)
    with pytest.warns(UserWarning, match="no sample set"):
        alone = similarity(runs[0], frames="last", layers="mlp1")
    assert alone.sizes["run"] == 1


def test_mistakes(opened):
    runs, samples = opened
    with pytest.raises(SampleError, match="give `samples`"):
        similarity(runs)
    with pytest.raises(UnknownLayerError, match="no layer 'mlp9'"):
        similarity(runs, samples, layers=["mlp9"])
    with pytest.raises(ValueError, match="n_samples must be at least 4"):
        similarity(runs, samples, n_samples=3)
    with pytest.raises(SampleError, match=r"a\.h5"):
        similarity([runs[0], runs[0]], samples)


def test_the_fixtures():
    """The encoders of a walker that learned and one in collapse are alike, their MLPs are not."""
    names = ("collapsed", "learned")
    with open_runs(*(FIXTURES / f"walker_walk-{name}.h5" for name in names)) as runs:
        result = similarity(
            runs, make_samples(runs[1], 200), frames=[0, 100_000], layers=["cnn4", "mlp1"]
        )
    collapsed, learned = result["run"].values
    between = result["cka"].sel(run=collapsed, other_run=learned)
    at = between.sel(frame=100_000, other_frame=100_000)
    assert at.sel(layer="cnn4") > 0.75
    assert at.sel(layer="mlp1") < 0.6
    first = result["cka"].sel(run=collapsed, other_run=collapsed, frame=0, other_frame=100_000)
    assert first.sel(layer="mlp1") < 0.3


def test_a_constant_layer_is_alike_to_none(make_run):
    with open_run(make_run("a.h5", seed=1)) as run:
        samples = make_samples(run, 40)
        agent = run.agent(0)
        agent.actor.policy[0].weight.data.zero_()
        run.agent = lambda frame: agent
        result = similarity(run, samples, frames=[0], layers=["mlp0", "mlp1"])
    assert result["cka"].sel(layer="mlp1").isnull().all()
    assert result["cka"].sel(layer="mlp0") == pytest.approx(1)
