"""Recorded updates: on a GPU as CUDA graphs, on a processor on a tape of every operation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.vrltrain.test_drqv2 import CONFIG, DEVICES, STD, make, make_batch
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.errors import VrlprobeError
from vrltrain import cuda_graph, drqv2
from vrltrain.config.settings import TrainConfig
from vrltrain.cuda_graph import WARM_CALLS
from vrltrain.drqv2 import Learner
from vrltrain.perturb import perturb


class Tape(TorchDispatchMode):
    """Operations with the very tensors that they took and gave, played into those tensors again.

    What Python passed beside them stays as it was when they were recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None) -> Any:
        assert operation is not torch.ops.aten._local_scalar_dense.default, "waits for a value"
        given = operation(*args, **kwargs or {})
        self.calls.append((operation, args, kwargs or {}, given))
        return given

    @torch.no_grad()
    def play(self) -> None:
        for operation, args, kwargs, given in self.calls:
            again = operation(*args, **kwargs)
            for kept, new in zip(tree_leaves(given), tree_leaves(again), strict=True):
                if isinstance(kept, torch.Tensor):
                    kept.copy_(new)


def make_recorded(monkeypatch, config: TrainConfig) -> tuple[Learner, list[Any]]:
    """A learner whose updates are recorded, and the recordings as they are made."""
    recordings: list[Any] = []

    def tape(work: Callable[[], None]) -> Callable[[], None]:
        """Tape some work and undo it: a CUDA graph does nothing while it is recorded."""
        moments = [moment for part in learner.optimizers for moment in learner.moments(part)]
        kept = [*learner.agent.named_tensors().values(), *learner._sums.values(), *moments]
        before = [tensor.clone() for tensor in kept]
        recordings.append(Tape())
        with recordings[-1]:
            work()
        for tensor, value in zip(kept, before, strict=True):
            tensor.data.copy_(value)
        return recordings[-1].play

    def graph(work: Callable[[], None], device: torch.device) -> Callable[[], None]:
        recordings.append(device)
        return cuda_graph.cuda_graph(work, device)

    monkeypatch.setattr(drqv2, "cuda_graph", graph)
    learner = Learner(make(config).agent, config, tape if config.device == "cpu" else None)
    return learner, recordings


def train(learner: Learner, seeds: range) -> list[dict[str, np.ndarray]]:
    """Updates whose batches and noise differ; the means after every third."""
    means = []
    for seed in seeds:
        learner.update(make_batch(seed), STD / (1 + seed))
        if seed % 3 == 2:
            means.append(learner.take_means())
    return means


def same(one: Learner, two: Learner) -> None:
    assert one.updates == two.updates
    for name, tensor in one.agent.named_tensors().items():
        assert torch.equal(tensor, two.agent.named_tensors()[name]), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recorded_updates_are_the_plain_ones(monkeypatch, precision, device) -> None:
    """Bit for bit: a recording depends on nothing but its inputs and what stays in its place."""
    config = replace(CONFIG, precision=precision, device=device)
    plain = make(replace(config, cuda_graph=False))
    recorded, recordings = make_recorded(monkeypatch, config)
    seeds = range(WARM_CALLS + 5)
    for expected, found in zip(train(plain, seeds), train(recorded, seeds), strict=True):
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert len(recordings) == 1
    same(plain, recorded)


def restarted(learner: Learner) -> None:
    torch.manual_seed(8)
    blank = DrQV2Agent.from_config({**CONFIG.stored(), "action_dim": 2})
    learner.restart(blank, ("encoder", "critic"), seed=3)


def perturbed(learner: Learner) -> None:
    torch.manual_seed(9)
    perturb(learner, DrQV2Agent.from_config({**CONFIG.stored(), "action_dim": 2}), 0.7)


def restored(learner: Learner) -> None:
    learner.restore(learner.state())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("change", "count"), [(restarted, 1), (perturbed, 1), (restored, 2)])
def test_changes_between_updates_are_seen(monkeypatch, change, count: int, device) -> None:
    """In their places a recording sees them; moments that were read from a file are new ones."""
    config = replace(CONFIG, device=device)
    plain = make(replace(config, cuda_graph=False))
    recorded, recordings = make_recorded(monkeypatch, config)
    for learner in (plain, recorded):
        train(learner, range(WARM_CALLS + 2))
        change(learner)
        train(learner, range(10, 10 + WARM_CALLS + 2))
    assert len(recordings) == count
    same(plain, recorded)


def test_nothing_is_recorded_on_a_processor() -> None:
    learner = make()
    train(learner, range(WARM_CALLS + 1))
    assert learner._recorded is None


def test_a_recording_that_fails_says_what_to_do() -> None:
    """Every one does without a GPU; on one, work that waits for a value."""
    here = torch.cuda.is_available()

    def work() -> None:
        torch.zeros((), device="cuda" if here else "cpu").item()

    with pytest.raises(VrlprobeError, match=r"cannot be recorded on cuda: .*`cuda_graph=False`"):
        cuda_graph.cuda_graph(work, torch.device("cuda"))
