"""DrM's perturbation: its factor, what it moves, and that a run with it resumes as unbroken."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.vrltrain.tiny import TINY, Stop, same_runs, stop_at
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.runs.reader import open_run
from vrltrain.config.settings import TrainConfig
from vrltrain.drqv2 import Learner
from vrltrain.perturb import dormant_share, perturb, perturb_factor
from vrltrain.run import begin, resume
from vrltrain.train import quiet

EVERY = replace(TINY, perturb_steps=40, total_frames=3001)


def agent_of(seed: int) -> DrQV2Agent:
    torch.manual_seed(seed)
    return DrQV2Agent.from_config({**EVERY.stored(), "action_dim": 1})


@pytest.mark.parametrize(("dormant", "kept"), [(0, 0.9), (0.1, 0.8), (0.3, 0.4), (1, 0.2)])
def test_more_dormant_units_keep_less(dormant: float, kept: float) -> None:
    assert perturb_factor(dormant, TrainConfig()) == pytest.approx(kept)


def test_dormant_outputs_are_counted_over_all_linear_maps() -> None:
    actor = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        actor[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.0, 0.001]]))
        actor[2].weight.fill_(1.0)
    # means 1, 1 and 0.001: the negative output is alive before its ReLU; 1 of 3 + 1 is dormant
    assert dormant_share(actor, torch.ones(4, 2)) == pytest.approx(1 / 4)


def test_linear_maps_move_towards_blank_ones_and_nothing_else_does() -> None:
    agent, blank, old = agent_of(0), agent_of(1), agent_of(0)
    learner = Learner(agent, EVERY)
    for optimizer in learner.optimizers.values():
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    learner.agent.load_named_tensors(old.named_tensors())
    perturb(learner, blank, 0.75)
    names = {name for name, module in agent.named_modules() if isinstance(module, nn.Linear)}
    before, other = old.state_dict(), blank.state_dict()
    for name, now in agent.state_dict().items():
        moved = name.rsplit(".", 1)[0] in names
        expected = 0.75 * before[name] + 0.25 * other[name] if moved else before[name]
        torch.testing.assert_close(now, expected)
    for part in learner.optimizers:
        assert learner.moments(part)
        assert not any(moment.any() for moment in learner.moments(part))


def test_a_run_logs_its_perturbations_and_resumes_as_unbroken(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.h5", tmp_path / "broken.h5"
    begin(EVERY, whole, quiet, quiet)
    with pytest.raises(Stop):
        begin(EVERY, broken, stop_at(2500), quiet)
    assert resume(broken, quiet)
    same_runs(whole, broken)
    with open_run(whole) as run:
        factors = run.log["perturb_factor"].values
    assert np.isnan(factors[:2]).all()
    assert (factors[2:] >= EVERY.perturb_min).all()
    assert (factors[2:] <= EVERY.perturb_max).all()
