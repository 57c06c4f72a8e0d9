"""Runs and samples that several studies are tested on."""

import pytest

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
