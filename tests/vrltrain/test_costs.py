"""Closed-form counts against torch's own, phase by phase, and against the optimizer's memory."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from vrlprobe.agents.drqv2 import DrQV2Agent
from vrltrain.config.settings import TrainConfig
from vrltrain.costs import Cost, acting_cost, update_costs
from vrltrain.drqv2 import Learner
from vrltrain.machine import Machine

N_ACTIONS = 3
CONFIG = TrainConfig(
    image_size=26, channels=5, feature_dim=7, hidden_dim=11, batch_size=6, precision="float32"
)


def make(config: TrainConfig) -> Learner:
    return Learner(DrQV2Agent.from_config({**config.stored(), "action_dim": N_ACTIONS}), config)


def images(config: TrainConfig, count: int) -> np.ndarray:
    shape = (count, 3 * config.frame_stack, config.image_size, config.image_size)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class Operations(TorchDispatchMode):
    """Counts by precision what torch's own formulas give for the calls inside."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func.overloadpacket):
            precision = str(args[0].dtype).removeprefix("torch.")
            self.counts[precision] += formula(*args, **(kwargs or {}), out_val=result)
        return result


def counted(call: Callable[[], object]) -> Counter[str]:
    with Operations() as operations:
        call()
    return operations.counts


@pytest.mark.parametrize(
    "changes", [{}, {"precision": "bfloat16"}, {"frame_stack": 2, "image_size": 31}]
)
def test_operations_are_those_that_torch_counts(changes: dict) -> None:
    config = replace(CONFIG, **changes)
    learner, costs = make(config), update_costs(config, N_ACTIONS)
    batch = torch.from_numpy(images(config, 6))
    encoded = learner.encode(batch)
    leaf = encoded.detach().requires_grad_()
    actions = torch.zeros(6, N_ACTIONS)

    def encoder() -> None:
        learner.features(batch)
        learner.encoder_gradients(learner.encode(batch), leaf)

    def critic() -> None:
        values = learner.agent.actor(encoded.detach())
        learner.agent.critic_target(encoded.detach(), values)
        learner.critic_gradients(leaf, actions, torch.zeros(6, 1))

    found = {
        "critic": counted(critic),
        "encoder": counted(encoder),
        "actor": counted(lambda: learner.actor_gradients(encoded.detach(), actions)),
    }
    assert found == {phase: costs[phase].products for phase in found}
    assert set(found["critic"]) == {config.precision, "float32"}


def test_the_operations_of_an_action() -> None:
    learner = make(CONFIG)
    found = counted(lambda: learner.explore(images(CONFIG, 1)[0], 0.1))
    assert found == acting_cost(CONFIG, N_ACTIONS).products


def test_bytes_of_the_optimizers_and_the_target() -> None:
    parts, costs = make(CONFIG).agent.parts(), update_costs(CONFIG, N_ACTIONS)
    nbytes = {name: sum(p.nbytes for p in part.parameters()) for name, part in parts.items()}
    trained = nbytes["encoder"] + nbytes["actor"] + nbytes["critic"]
    assert costs["optimizer"].bytes == 7 * trained
    assert costs["target update"].bytes == 3 * nbytes["critic_target"]


def test_a_cost_takes_what_products_or_bytes_take_at_fixed_rates() -> None:
    """2e9 and 4e9 operations a second: 0.5 + 0.25 ms; 2^20 bytes at 1e8 a second: 10.49 ms."""
    machine, products = Machine(), {"float32": 1e6, "bfloat16": 1e6}
    machine.matrix_rates = {"float32": 2e9, "bfloat16": 4e9}
    machine.copy_rates = {2**10: 1e9, 2**20: 1e8}
    few, many = Cost(products, bytes=1e3), Cost(products, bytes=2.0**20)
    assert machine.seconds(few) == pytest.approx(0.75e-3)
    assert machine.seconds(many) == pytest.approx(10.48576e-3)
    assert machine.seconds(few.repeated(7)) == pytest.approx(5.25e-3)
    assert machine.seconds(many.repeated(7)) == pytest.approx(73.40032e-3)
