"""The monitor in a training loop, held against what is said of recorded runs afterwards."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vrlprobe import CollapseMonitor, extract_activations, make_samples, open_run
from vrlprobe import metrics as numbers
from vrlprobe.analyses import collapse, metrics
from vrlprobe.collapse.indicators import ACTION_STD, GRADIENT
from vrlprobe.collapse.rule import Rule
from vrlprobe.metrics.gradients import logged_norms

FIXTURES = Path(__file__).parents[2] / "fixtures"
N = 200


@pytest.mark.parametrize("name", ["learned", "collapsed"])
def test_read_while_it_trains_it_says_what_the_run_says_afterwards(name: str) -> None:
    with open_run(FIXTURES / f"walker_walk-{name}.h5") as run:
        samples = make_samples(run, N)
        seen = samples.observations(np.arange(len(samples)))
        monitor = CollapseMonitor(window=30_000)
        rows = []
        for frame in run.frames.tolist()[1:]:  # the first is before the first update
            agent = run.agent(frame)
            hidden = extract_activations(agent, seen, ["mlp1", "mlp2"])
            row = monitor.read(
                frame,
                actions=agent(torch.from_numpy(seen)),
                grad_norm=logged_norms(run, frame),
                activations=hidden,
            )
            rows.append(row)
        after = metrics(run, samples, n_samples=len(samples)).isel(run=0, frame=slice(1, None))
        for key in ("numerical_rank", "correlation_samples", "dead_units", "grad_norm"):
            mine = [row[f"{key}[mlp1]"] for row in rows]
            np.testing.assert_allclose(mine, after[key].sel(layer="mlp1"), rtol=1e-4)
        np.testing.assert_allclose(
            [row["action_spread"] for row in rows], after["action_spread"], rtol=1e-4, atol=1e-9
        )
        said = collapse(run, samples, window=30_000)
    assert str(monitor.verdict) == str(said)
    assert monitor.verdict.phases == said.phases
    assert [item.indicator for item in monitor.verdict.evidence] == [
        i.indicator for i in said.evidence
    ]


def read(monitor: CollapseMonitor, frame: int, spread: float, norm: float) -> dict[str, float]:
    actions = spread * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return monitor.read(frame, actions=actions, grad_norm={"mlp1": norm})


def test_a_dead_attempt_is_given_up_and_a_live_one_kept() -> None:
    monitor = CollapseMonitor(window=5000)
    for frame in range(1000, 5000, 1000):
        read(monitor, frame, 0.001, 1e-6)
        assert not monitor.should_reset
    assert monitor.verdict.word == "undecided"
    read(monitor, 5000, 0.001, 1e-6)
    assert monitor.should_reset
    assert str(monitor.verdict) == "stuck since 1,000"
    monitor.reset(5000)
    assert (monitor.attempt, monitor.should_reset) == (2, False)
    for frame in range(6000, 12_000, 1000):
        read(monitor, frame, 0.5, 1e-2)
    assert not monitor.should_reset
    assert monitor.verdict.word == "healthy"


def test_the_rule_is_that_of_a_run() -> None:
    """Gradient norms of a random walk around the threshold, read one by one and all at once."""
    rng = np.random.default_rng(0)
    fired = set()
    for _ in range(50):
        norms = 10 ** (-3 + rng.standard_normal(12))
        rule = Rule(10_000, GRADIENT, 4)
        monitor = CollapseMonitor(10_000, consecutive=4)
        frames = 1000 * np.arange(1, 13)
        for frame, norm in zip(frames.tolist(), norms, strict=True):
            read(monitor, frame, 0.5, norm)
        wanted = rule.fires(frames, norms) is not None
        assert monitor.should_reset == wanted
        fired.add(wanted)
    assert fired == {True, False}


def test_a_training_that_is_resumed_goes_on_as_unbroken(tmp_path: Path) -> None:
    whole, first = (CollapseMonitor(3000, consecutive=2) for _ in range(2))
    for monitor in (whole, first):
        read(monitor, 1000, 0.001, 1e-6)
        monitor.reset(1500)
        read(monitor, 2000, 0.001, 1e-6)
    hidden = {"mlp1": np.random.default_rng(0).random((5, 4))}
    for monitor in (whole, first):
        monitor.read(2500, actions=np.eye(2), activations=hidden, grad_norm={"mlp1": 1e-6})
    torch.save(first.state_dict(), tmp_path / "checkpoint.pt")  # loaded with weights_only
    second = CollapseMonitor(3000, consecutive=2)
    second.load_state_dict(torch.load(tmp_path / "checkpoint.pt"))
    assert json.loads(json.dumps(second.state_dict())) == first.state_dict()
    for frame in (3000, 4000, 5000):
        for monitor in (whole, second):
            read(monitor, frame, 0.001, 1e-6)
        assert second.state_dict() == whole.state_dict()
        assert second.should_reset == whole.should_reset
        assert second.verdict == whole.verdict
    assert second.should_reset


def test_what_is_not_read_decides_nothing() -> None:
    monitor = CollapseMonitor(2000)
    for frame in (1000, 2000, 3000):
        row = monitor.read(frame, actions=np.zeros((3, 1)), train_return=0.0)
    assert row == {ACTION_STD.name: 0.0, "saturated_share": 0.0, "train_return": 0.0}
    assert not monitor.should_reset
    assert monitor.verdict.word == "stuck"
    assert "no training episode had a reward" in monitor.verdict.reason
    assert CollapseMonitor(2000).verdict.word == "undecided"


def test_a_layer_that_diverged_has_no_metrics() -> None:
    hidden = np.array([[1.0, np.nan], [0.0, 2.0]])
    row = CollapseMonitor(2000).read(1, actions=np.eye(2), activations={"mlp1": hidden})
    assert np.isnan(row["numerical_rank[mlp1]"])
    assert row["action_spread"] == numbers.action_std(np.eye(2)) == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_training_that_diverged_is_told_so(bad: float) -> None:
    monitor = CollapseMonitor(2000)
    for frame in (100, 200, 300):
        read(monitor, frame, 0.5, 1e-2)
    assert monitor.verdict.word == "healthy"
    with pytest.warns(UserWarning, match="diverged: its actions are NaN or infinite at frame 400"):
        row = monitor.read(400, actions=np.array([[0.5, bad], [0.0, 1.0]]))
    assert np.isnan([row["action_spread"], row["saturated_share"]]).all()
    assert monitor.verdict.word == "undecided"
    assert "diverged" in monitor.verdict.reason
    read(monitor, 500, 0.5, 1e-2)
    assert monitor.verdict.word == "healthy"


def test_what_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="window must be at least 1, not 0"):
        CollapseMonitor(0)
    with pytest.raises(ValueError, match="needs an indicator that decides"):
        CollapseMonitor(10, indicators=())
    with pytest.raises(
        ValueError, match=r"an indicator is a .*Indicator.*, not 'grad_norm\[mlp1\]'"
    ):
        CollapseMonitor(10, indicator="grad_norm[mlp1]")
    with pytest.raises(ValueError, match=r"an indicator is a .*Indicator.*, not 'action_spread'"):
        CollapseMonitor(10, indicators=["action_spread"])
    for lone in (ACTION_STD, "action_spread"):
        with pytest.raises(ValueError, match="indicators are given in a list, not as"):
            CollapseMonitor(10, indicators=lone)
    monitor = CollapseMonitor(2000)
    with pytest.raises(ValueError, match="frame must be at least 1, not 0"):
        read(monitor, 0, 0.5, 1.0)
    read(monitor, 10, 0.5, 1.0)
    with pytest.raises(ValueError, match="frame must be at least 11, not 10"):
        read(monitor, 10, 0.5, 1.0)
    with pytest.raises(ValueError, match=r"actions: needed \(n_samples, n\), .* found \(3,\)"):
        monitor.read(20, actions=np.zeros(3))
    with pytest.raises(ValueError, match="activations of mlp1: needed"):
        monitor.read(20, actions=np.eye(2), activations={"mlp1": np.zeros((2, 2, 2))})
    with pytest.raises(ValueError, match=r"grad_norm is by layer, .* not a float alone"):
        monitor.read(20, actions=np.eye(2), grad_norm=0.1)
    with pytest.raises(ValueError, match=r"activations is by layer, .* not a Tensor alone"):
        monitor.read(20, actions=np.eye(2), activations=torch.zeros(2, 3))
    for state, lost in (({}, "attempt"), ({"attempt": 1, "begun": 0}, "rows")):
        with pytest.raises(ValueError, match=f"no state of a CollapseMonitor: it has no '{lost}'"):
            monitor.load_state_dict(state)
    assert len(monitor.state_dict()["rows"]) == 1


def test_numbers_may_be_tensors() -> None:
    norms, returned = {"mlp1": torch.tensor(0.25)}, torch.tensor(2.0)
    row = CollapseMonitor(2000).read(
        1, actions=torch.eye(2), grad_norm=norms, train_return=returned
    )
    assert (row["grad_norm[mlp1]"], row["train_return"]) == (0.25, 2.0)
    assert {type(value) for value in row.values()} == {float}
