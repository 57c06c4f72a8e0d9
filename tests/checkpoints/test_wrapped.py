"""State dicts are found in what trainers wrap them in, and beside what they keep with them."""

import argparse
import collections
import datetime
import pathlib
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.checkpoints import baselines
from vrlprobe.checkpoints.read import read_checkpoint
from vrlprobe.errors import FormatError

POLICY = baselines.cleanrl()[0].state_dict()


def drqv2():
    """A plain state dict of a small DrQ-v2 agent."""
    from vrlprobe.agents.drqv2 import DrQV2Agent

    sizes = {"image_size": 20, "channels": 2, "feature_dim": 3, "hidden_dim": 4}
    agent = DrQV2Agent.from_config({**sizes, "action_dim": 2, "frame_stack": 3})
    return {name.replace("/", "."): t.detach().clone() for name, t in agent.named_tensors().items()}


def prefixed(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


WRAPPED = {
    "DataParallel": lambda state: prefixed(state, "module."),
    "compiled": lambda state: prefixed(state, "_orig_mod."),
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": prefixed(state, "module.")},
    "agent": lambda state: {"agent": state, "optimizer": {"lr": 0.1, "m": torch.zeros(3)}},
    "both": lambda state: {"agent": {"state_dict": state}, "step": 5},
    "lightning": lambda state: {"state_dict": prefixed(state, "model.")},
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("kind", ["CleanRL DQN", "DrQ-v2 state dict"])
def test_a_wrapped_state_dict_is_that_inside(tmp_path, wrap, kind):
    state = POLICY if kind == "CleanRL DQN" else drqv2()
    torch.save(state, tmp_path / "plain.pt")
    torch.save(wrap(state), tmp_path / "wrapped.pt")
    plain, wrapped = (read_checkpoint(tmp_path / f"{n}.pt") for n in ("plain", "wrapped"))
    assert wrapped.kind == plain.kind == kind
    assert wrapped.config == plain.config
    assert wrapped.parameters.keys() == plain.parameters.keys()
    for name, array in plain.parameters.items():
        np.testing.assert_array_equal(wrapped.parameters[name], array)


def test_each_part_may_be_wrapped(tmp_path):
    state = drqv2()
    parts = {}
    for name, tensor in state.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[f"module.{rest}"] = tensor
    torch.save(parts, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").kind == "DrQ-v2 state dict"
    save_file(prefixed(state, "module."), tmp_path / "a.safetensors")
    assert read_checkpoint(tmp_path / "a.safetensors").kind == "DrQ-v2 state dict"


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "beside",
    [
        pathlib.Path("runs/a"),
        datetime.datetime.now(datetime.UTC),
        datetime.timedelta(hours=1),
        np.random.default_rng(0),
        np.random.RandomState(0),
        np.float32(0.5),
        argparse.Namespace(lr=0.1, folder=pathlib.Path("x")),
        types.SimpleNamespace(lr=0.1),
        collections.deque([1.0, 2.0], maxlen=10),
        collections.Counter("ab"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_kept_beside_the_tensors_is_passed_over(tmp_path, beside, protocol):
    path = tmp_path / "a.pt"
    torch.save({"state_dict": POLICY, "beside": beside}, path, pickle_protocol=protocol)
    assert read_checkpoint(path).kind == "CleanRL DQN"


def test_the_step_beside_the_state_dicts_of_the_parts_is_theirs(tmp_path):
    """As `torch.save({"encoder": agent.encoder.state_dict(), …, "_global_step": step})`."""
    parts = {}
    for name, tensor in drqv2().items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    for step in (1500, np.int64(1500)):
        torch.save({**parts, "_global_step": step}, tmp_path / "a.pt")
        found = read_checkpoint(tmp_path / "a.pt")
        assert (found.steps, found.action_repeat) == (1500, 2)
    torch.save(parts, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").steps is None


def test_complex_tensors_are_refused(tmp_path):
    save_file({"encoder.weight": torch.zeros(3, dtype=torch.complex64)}, tmp_path / "a.safetensors")
    with pytest.raises(FormatError, match=r"encoder\.weight holds complex numbers"):
        read_checkpoint(tmp_path / "a.safetensors")
