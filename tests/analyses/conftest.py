"""Runs and samples that several studies are tested on."""

import pytest

from tests.analyses.planted import intact, save
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples


@pytest.fixture
def opened(make_run):
    """`opened("seed1.h5", seed=1)` writes a run and opens it until the test ends."""
    there = []

    def make(name, **kinds):
        there.append(open_run(make_run(name, **kinds)))
        return there[-1]

    yield make
    for run in there:
        run.close()


@pytest.fixture
def good(opened):
    return [opened(f"seed{seed}.h5", seed=seed, frames=(0, 1000)) for seed in (1, 2, 3)]


@pytest.fixture
def samples(good):
    return make_samples(good)


@pytest.fixture
def other(opened):
    return opened("other.h5", seed=9, frames=(0, 1000, 3000), reward=0.1)


@pytest.fixture
def plant(request, make_run, tmp_path, seen):
    """`plant("a.h5", seed, change)`: a run with planted networks of one source.

    The module says of which task and size (`CARTPOLE`), and on which samples (the fixture `seen`).
    """

    def make(name, seed, change=intact, **config):
        made = {**request.module.CARTPOLE, **config}
        source = make_run(f"source-{name}", seed=1, config=made)
        return save(source, tmp_path / name, seed, change, seen)

    return make
