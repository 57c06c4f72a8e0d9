"""What a caller sets in torch changes no number here, and nothing here changes what it set."""

from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np
import pytest
import torch

from vrlprobe.agents.receptive import receptive_fields
from vrlprobe.analyses import metrics, probe
from vrlprobe.device import drawn_from, full_products
from vrlprobe.probes.mlp import mlp_fit
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples


@contextmanager
def float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


PRECISIONS = (
    torch.backends,
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,
    torch.backends.mkldnn.matmul,
    torch.backends.mkldnn.conv,
)


def precisions():
    return [each.fp32_precision for each in PRECISIONS]


@contextmanager
def reduced(allow):
    """Float32 products in less, as a program may allow them."""
    before = precisions()
    allow()
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        for each, value in zip(PRECISIONS, before, strict=True):
            each.fp32_precision = value


def older_way():
    torch.set_float32_matmul_precision("medium")


def older_ways_that_differ():
    """Torch's older getter raises from then on."""
    torch.set_float32_matmul_precision("medium")
    torch.backends.cuda.matmul.allow_tf32 = False


def newer_way():
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def newer_way_for_all():
    torch.backends.fp32_precision = "bf16"


REDUCED = [older_way, older_ways_that_differ, newer_way, newer_way_for_all]
SETTINGS = {
    **{way.__name__: partial(reduced, way) for way in REDUCED},
    "float64": float64,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "device": lambda: torch.device("meta"),  # where nothing is computed: no tensor may go there
}


@pytest.fixture
def setting(request):
    return SETTINGS[request.param]


@pytest.mark.parametrize("setting", SETTINGS, indirect=True)
def test_probes_and_metrics_are_the_same_whatever_the_caller_set_in_torch(make_run, setting):
    with open_run(make_run("a.h5", seed=1)) as run:
        samples, frame = make_samples(run, 60), int(run.frames[-1])

        def found():
            return (
                probe(run, samples, layers="mlp1", max_atoms=3, controls="blank", keep_own=True),
                metrics(run, samples, frames=frame),
            )

        wanted = found()
        with setting():
            assert all(map(lambda one, other: one.identical(other), found(), wanted))


@pytest.mark.parametrize("setting", SETTINGS, indirect=True)
def test_gradients_are_the_same_whatever_the_caller_set_in_torch(make_run, setting):
    noise = np.zeros((4, 2), np.float32)
    with open_run(make_run("a.h5", seed=1)) as run:
        seen = run.rollout(run.frames[-1])[0].observations(run.layout.frame_stack)[:4]

        def found():
            return run.agent(run.frames[-1]).gradient_norms(seen, noise)

        wanted = found()
        with setting():
            assert found() == wanted


@pytest.mark.parametrize("setting", SETTINGS, indirect=True)
def test_an_mlp_probe_is_the_same_whatever_the_caller_set_in_torch(setting):
    X = np.random.default_rng(0).normal(size=(40, 6))

    def found(now=nullcontext):
        with now():
            return mlp_fit(X, X[:, :2], heldout={"val": (X, X[:, :2])}, epochs=3).mse["val"]

    np.testing.assert_array_equal(found(setting), found())
    assert torch.get_default_dtype() == torch.float32


def test_what_the_caller_draws_goes_on_as_if_nothing_had_been_drawn(make_run, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    X = np.random.default_rng(0).normal(size=(40, 6))
    with open_run(make_run("a.h5", seed=1)) as run:
        before = torch.get_rng_state()
        run.blank_agent(3)
        mlp_fit(X, X[:, :2], heldout={"val": (X, X[:, :2])}, epochs=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert not seeded  # which cannot be asked for its state where there is no GPU


@pytest.mark.parametrize("way", REDUCED)
def test_within_full_products_none_is_reduced_and_afterwards_all_are_as_before(way):
    with reduced(way):
        before = precisions()
        with full_products():
            assert {each.fp32_precision for each in PRECISIONS[1:]} <= {"ieee", "none"}
        assert precisions() == before


@pytest.mark.parametrize("all_of_them", ["tf32", "bf16"])
def test_settings_that_were_inherited_are_so_afterwards(all_of_them):
    def switched(context):
        with reduced(lambda: setattr(torch.backends, "fp32_precision", all_of_them)):
            with context():
                pass
            torch.backends.fp32_precision = "ieee"
            return precisions()

    assert switched(full_products) == switched(nullcontext)


def test_sums_of_half_precision_are_full():
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_bf16_reduced_precision_reduction
    matmul.allow_bf16_reduced_precision_reduction = True
    try:
        with full_products():
            assert not matmul.allow_bf16_reduced_precision_reduction
        assert matmul.allow_bf16_reduced_precision_reduction
    finally:
        matmul.allow_bf16_reduced_precision_reduction = before


def test_the_receptive_fields_of_atoms_are_found_on_the_agents_device(make_run):
    with open_run(make_run("a.h5", seed=1)) as run:
        agent = run.agent(run.frames[-1])
        wanted = receptive_fields(agent, "cnn2")
        with torch.device("meta"):
            assert receptive_fields(agent, "cnn2") == wanted


def test_draws_are_those_of_torchs_own_seed():
    with drawn_from(5):
        drawn = torch.randn(3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        assert torch.equal(torch.randn(3), drawn)
