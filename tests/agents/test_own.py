"""Networks of one's own: registered, imported, probed and measured like the others."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vrlprobe.agents.activations import extract_activations, feature_major_activations
from vrlprobe.agents.own import ModuleAgent, register_agent
from vrlprobe.analyses import (
    activations,
    export_checkpoint,
    import_checkpoints,
    metrics,
    probe,
    units,
)
from vrlprobe.errors import FormatError, SampleError, UnknownLayerError
from vrlprobe.runs.reader import open_run

LAYERS = {"pixels": "", "conv": "convnet.2", "hidden": "head.1"}


class Net(nn.Module):
    """Has whole numbers among its state (batch normalisation); its outputs are no actions."""

    def __init__(self):
        super().__init__()
        self.convnet = nn.Sequential(nn.Conv2d(4, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(486, 10), nn.ReLU(inplace=True), nn.Linear(10, 12))

    def forward(self, images):
        return self.head(self.convnet(images).flatten(1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().train(False)


@pytest.fixture
def own_run(tmp_path, net):
    """A run of the registered network, with observations out of arrays."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (90, 1, 20, 20), dtype=np.uint8)
    arrays = {"images": images, "lengths": [30, 30, 30], "height": rng.random(90)}
    np.savez(tmp_path / "obs.npz", **arrays)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    register_agent("small", Net, layers=LAYERS, image_shape=(4, 20, 20))
    import_checkpoints(
        tmp_path / "net.pt", tmp_path / "run.h5", architecture="small", task="maze",
        observations=tmp_path / "obs.npz",
    )  # fmt: skip
    with open_run(tmp_path / "run.h5") as run:
        yield run


def test_layers_and_output_are_the_networks(net):
    seen = np.random.default_rng(0).integers(0, 256, (5, 4, 20, 20), dtype=np.uint8)
    agent = ModuleAgent(net, LAYERS, (4, 20, 20), prepare=lambda x: x.float() / 100)
    images = torch.from_numpy(seen) / 100
    found = extract_activations(agent, seen)
    np.testing.assert_allclose(found["pixels"], images.flatten(1), rtol=1e-6)
    conv = net.convnet(images)
    np.testing.assert_allclose(found["conv"], conv.detach().flatten(1), atol=1e-6)
    hidden = net.head[:2](conv.flatten(1))
    np.testing.assert_allclose(found["hidden"], hidden.detach(), atol=1e-6)
    np.testing.assert_allclose(agent.act(seen), net(images).detach(), atol=1e-6)


def test_it_is_probed_measured_and_written_out(own_run, net):
    seen = own_run.rollout(0)[0].observations(4)
    agent = own_run.agent(0).train(False)
    np.testing.assert_allclose(
        agent.act(seen), net(torch.from_numpy(seen) / 255).detach(), atol=1e-6
    )
    probed = probe(own_run, [own_run], keep_own=True, max_atoms=3)
    assert probed["layer"].values.tolist() == list(LAYERS)
    assert np.isfinite(probed["test_mse"]).all()
    measured = metrics(own_run, [own_run])
    assert measured["layer"].values.tolist() == list(LAYERS)
    assert np.isfinite(measured["numerical_rank"]).all()
    assert np.isnan(measured["grad_norm"]).all()
    kept = activations(own_run, [own_run], layers=["hidden"])
    assert kept["hidden"].shape == (90, 10)


def test_no_layer_of_it_is_known_as_a_convolution(own_run):
    with pytest.raises(
        UnknownLayerError, match=r"run\.h5 has no layer .* there are pixels, conv, h"
    ):
        units(own_run, [own_run], keep_own=True)
    found = units(own_run, [own_run], keep_own=True, layers="conv")
    assert found["layer"].values.tolist() == ["conv"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_it_is_written_out_and_imported_again(own_run, tmp_path, suffix):
    export_checkpoint(own_run, 0, tmp_path / f"x{suffix}")
    import_checkpoints(
        tmp_path / f"x{suffix}", tmp_path / "again.h5", architecture="small", task="walker_walk",
        episodes=0,
    )  # fmt: skip
    with open_run(tmp_path / "again.h5") as again:
        assert again.digest(0) == own_run.digest(0)


class Wrapped(nn.Module):
    """A network whose own names begin as those of an exported one do."""

    def __init__(self):
        super().__init__()
        self.network = Net()

    def forward(self, images):
        return self.network(images)


def test_a_module_called_network_is_no_sign_of_an_export(tmp_path):
    layers = {name: f"network.{path}" if path else "" for name, path in LAYERS.items()}
    register_agent("wrapped", Wrapped, layers=layers, image_shape=(4, 20, 20))
    options = {"architecture": "wrapped", "task": "walker_walk", "episodes": 0}
    torch.save(Wrapped().state_dict(), tmp_path / "net.pt")
    import_checkpoints(tmp_path / "net.pt", tmp_path / "a.h5", **options)
    with open_run(tmp_path / "a.h5") as run:
        export_checkpoint(run, 0, tmp_path / "x.pt")
        import_checkpoints(tmp_path / "x.pt", tmp_path / "b.h5", **options)
        with open_run(tmp_path / "b.h5") as again:
            assert again.digest(0) == run.digest(0)


class Summed(nn.Module):
    """Submodules whose outputs are not a row for each observation, or are one number for each."""

    def __init__(self):
        super().__init__()
        self.one, self.turned, self.all = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, images):
        flat = images.flatten(1)
        self.turned(flat.T), self.all(flat.sum())
        return self.one(flat.sum(1))


def test_layers_are_a_row_for_each_observation():
    seen = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 6), dtype=np.uint8)
    agent = ModuleAgent(Summed(), {"one": "one", "turned": "turned", "all": "all"}, (4, 6, 6))
    found = extract_activations(agent, seen, "one", batch_size=2)
    expected = seen.reshape(5, -1).sum(1, keepdims=True) / 255
    np.testing.assert_allclose(found["one"], expected, rtol=1e-5)
    for name, shape in {"turned": r"\(144, 5\)", "all": r"\(\)"}.items():
        with pytest.raises(UnknownLayerError, match=f"{name!r}.* {shape} for 5 observations"):
            extract_activations(agent, seen, name)
    with pytest.raises(SampleError, match=r"gives \(5,\) for 5 obs.*needed actions"):
        agent.act(seen)


@pytest.mark.parametrize(
    ("shape", "prepare"),
    [
        ((4, 26, 26), None),
        ((3, 20, 20), None),
        ((4, 20, 20), lambda x: x),
        ((4, 20, 20), lambda x: None),
    ],
)
def test_images_that_the_network_cannot_take_are_said_in_one_line(net, shape, prepare):
    how = {} if prepare is None else {"prepare": prepare}
    agent = ModuleAgent(net, LAYERS, shape, **how)
    with pytest.raises(SampleError, match=rf"images of {' x '.join(map(str, shape))} \(image_sh"):
        agent.act(np.zeros((2, *shape), np.uint8))


def test_a_table_that_cannot_be_is_refused_when_it_is_given():
    for layers in ({}, ["convnet.2"], None):
        with pytest.raises(UnknownLayerError, match="layers map a name"):
            register_agent("none", Net, layers=layers, image_shape=(4, 20, 20))


class Leaky(Net):
    """The same parameters, another activation."""

    def __init__(self):
        super().__init__()
        self.head[1] = nn.LeakyReLU()


@pytest.mark.parametrize(
    "change",
    [
        {"layers": {**LAYERS, "hidden": "head.0"}},
        {"prepare": lambda pixels: pixels.float() / 100},
        {"make": Leaky},
    ],
    ids=["layer", "prepare", "network"],
)
def test_kept_parts_of_a_network_that_worked_otherwise_are_not_taken(own_run, tmp_path, change):
    options = {"layers": ["hidden"], "keep_own": True, "kind": "ridge"}
    first = probe(own_run, [own_run], cache=tmp_path / "cache", **options)
    given = {"make": Net, "layers": LAYERS, "image_shape": (4, 20, 20), **change}
    register_agent("small", **given)
    with open_run(own_run.path) as run:
        kept = probe(run, [run], cache=tmp_path / "cache", **options)
        anew = probe(run, [run], **options)
    np.testing.assert_array_equal(kept["test_mse"], anew["test_mse"])
    assert (kept["test_mse"] != first["test_mse"]).any()


def test_the_image_shape_may_be_an_array(net):
    seen = np.random.default_rng(0).integers(0, 256, (5, 4, 20, 20), dtype=np.uint8)
    register_agent("array", Net, layers=LAYERS, image_shape=np.array([4, 20, 20]))
    agent = ModuleAgent(net, LAYERS, np.array([4, 20, 20]))
    assert json.dumps(agent.image_shape) == "[4, 20, 20]"
    np.testing.assert_array_equal(agent.act(seen), ModuleAgent(net, LAYERS, (4, 20, 20)).act(seen))
    with pytest.raises(FormatError, match=r"'x' cannot be made: .*float"):
        register_agent("x", Net, layers=LAYERS, image_shape=(4, 20.5, 20))


def test_other_processes_know_it(own_run):
    one = probe(own_run, [own_run], keep_own=True, max_atoms=3)
    two = probe(own_run, [own_run], keep_own=True, max_atoms=3, n_jobs=2, controls=["blank"])
    np.testing.assert_array_equal(one["test_mse"], two["test_mse"])


def test_it_acts_as_in_evaluation_and_stays_as_it_was(net):
    """Batch normalisation in training takes the batch's own statistics, and keeps them."""
    agent = ModuleAgent(net.train(), LAYERS, (4, 20, 20))
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 20, 20), dtype=np.uint8)
    kept = net.convnet[1].running_mean.clone()
    alone, among = agent.act(images[:1]), agent.act(images)[:1]
    np.testing.assert_allclose(alone, among, rtol=1e-5, atol=1e-6)
    assert torch.equal(net.convnet[1].running_mean, kept)
    assert all(module.training for module in net.modules())


def test_one_network_for_all_checkpoints_is_refused(net):
    with pytest.raises(FormatError, match="make must make a new network at each call"):
        register_agent("shared", lambda: net, layers=LAYERS, image_shape=(4, 20, 20))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 24, 20), "'x': the network cannot take images of 4 x 24 x 20 .*be multiplied"),
        ((20, 20, 4), "'x': the network cannot take images of 20 x 20 x 4 .*4 channels"),
        ((4, 20), r"channels .* height and width, not \(4, 20\)"),
        (20, "height and width, not 20"),
        ((4, 0, 20), r"height and width, not \(4, 0, 20\)"),
    ],
)
def test_an_image_that_the_network_does_not_take_is_told_before_anything_is_imported(
    shape, message
):
    before = torch.random.get_rng_state()
    with pytest.raises(FormatError, match=message):
        register_agent("x", Net, layers=LAYERS, image_shape=shape)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_mistakes(tmp_path, net):
    with pytest.raises(UnknownLayerError, match=r"no submodule 'head.9'; there are convnet, "):
        register_agent("x", Net, layers={"a": "head.9"}, image_shape=(4, 20, 20))
    with pytest.raises(FormatError, match="'drqv2' is installed already"):
        register_agent("drqv2", Net, layers=LAYERS, image_shape=(4, 20, 20))
    with pytest.raises(FormatError, match="cannot be made"):
        register_agent("x", lambda size: Net(), layers=LAYERS, image_shape=(4, 20, 20))
    register_agent("small", Net, layers=LAYERS, image_shape=(4, 20, 20))
    torch.save(net.head, tmp_path / "module.pt")
    with pytest.raises(FormatError, match=r"torch.save\(module.state_dict\(\), path\)"):
        import_checkpoints(
            tmp_path / "module.pt", tmp_path / "a.h5", architecture="small", task="x"
        )
    other = {**net.state_dict(), "head.0.weight": torch.zeros(10, 487)}
    torch.save(other, tmp_path / "a.pt")
    with pytest.raises(FormatError, match=r"head.0.weight is \(10, 487\), needed \(10, 486\)"):
        import_checkpoints(tmp_path / "a.pt", tmp_path / "a.h5", architecture="small", task="x")
    torch.save(net.state_dict(), tmp_path / "b.pt")
    with pytest.raises(FormatError, match="did you mean small"):
        import_checkpoints(tmp_path / "b.pt", tmp_path / "b.h5", architecture="smal", task="x")
    with pytest.raises(FormatError, match="its actions are the layer action, and its"):
        import_checkpoints(
            tmp_path / "b.pt", tmp_path / "b.h5", architecture="small", task="walker_walk"
        )


class Functional(nn.Module):
    """Activations as functions; `parts` decides what lies between `fc` and `head`."""

    def __init__(self, between=F.relu):
        super().__init__()
        self.fc, self.head = nn.Linear(144, 6), nn.Linear(6, 2)
        self.value = nn.Linear(144, 3)
        self.between = between

    def forward(self, images):
        self.value(images.flatten(1))
        return self.head(self.between(self.fc(images.flatten(1))))


class Stateful(Functional):
    """A recurrent cell that goes on from the last batch's end."""

    def __init__(self, kind):
        super().__init__()
        self.cell, self.state, self.kind = nn.GRUCell(144, 6), torch.zeros(1, 6), kind

    def forward(self, images):
        flat = images.flatten(1)
        hidden = self.cell(flat, self.state.expand(len(flat), 6))
        if self.kind == "state":
            self.state = hidden[-1:].detach()
        elif self.kind == "drawn":
            hidden = F.dropout(hidden)
        elif self.kind == "batch":
            hidden = hidden - hidden.mean(0)
        return self.head(hidden)


@pytest.fixture
def seen():
    return np.random.default_rng(0).integers(0, 256, (9, 4, 6, 6), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["state", "drawn", "batch"])
@pytest.mark.parametrize("extract", [extract_activations, feature_major_activations])
def test_a_layer_that_is_no_function_of_the_observation_is_refused(kind, extract, seen):
    torch.manual_seed(0)
    agent = ModuleAgent(Stateful(kind), {"pixels": "", "out": "in:head"}, (4, 6, 6))
    with pytest.raises(UnknownLayerError, match="layer 'out' has other values when the same"):
        extract(agent, seen)
    assert extract(agent, seen, "pixels")
    assert extract(ModuleAgent(Stateful("none"), {"out": "in:head"}, (4, 6, 6)), seen)


def test_what_a_module_takes_is_a_layer(seen):
    torch.manual_seed(0)
    net = Functional()
    agent = ModuleAgent(net, {"hidden": "in:head", "action": "head"}, (4, 6, 6))
    expected = F.relu(net.fc(torch.from_numpy(seen).flatten(1) / 255)).detach()
    assert (expected == 0).any()
    np.testing.assert_allclose(extract_activations(agent, seen)["hidden"], expected, atol=1e-6)
    with pytest.raises(UnknownLayerError, match="no submodule 'haed'"):
        ModuleAgent(net, {"hidden": "in:haed"}, (4, 6, 6))


@pytest.mark.parametrize("between", [F.relu, torch.tanh, lambda h: F.relu(h, inplace=True)])
def test_a_function_behind_a_layer_is_warned_of(between, seen):
    agent = ModuleAgent(Functional(between), {"hidden": "fc", "action": "head"}, (4, 6, 6))
    with pytest.warns(UserWarning, match=r"'hidden' is what 'fc' gives, but 'head' takes.*'in:hea"):
        extract_activations(agent, seen)


@pytest.mark.parametrize(
    "between", [lambda h: h, lambda h: h.view(-1, 2, 3).flatten(1), lambda h: h.flip(1)]
)
def test_a_layer_that_is_taken_as_it_is_is_not_warned_of(between, seen, recwarn):
    layers = {"hidden": "fc", "value": "value", "action": "head"}
    extract_activations(ModuleAgent(Functional(between), layers, (4, 6, 6)), seen)
    assert not recwarn.list


class Fourier(nn.Module):
    """A layer of complex numbers."""

    def __init__(self):
        super().__init__()
        self.spectrum = nn.Identity()

    def forward(self, images):
        return self.spectrum(torch.fft.rfft(images.flatten(1)))


def test_complex_numbers_are_refused(seen):
    agent = ModuleAgent(Fourier(), {"spectrum": "spectrum"}, (4, 6, 6))
    with pytest.raises(UnknownLayerError, match=r"'spectrum'.* complex numbers.*view_as_real"):
        extract_activations(agent, seen)
    with pytest.raises(SampleError, match="complex numbers, needed real actions"):
        agent.act(seen)
