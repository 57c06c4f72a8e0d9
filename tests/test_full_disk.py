"""A disk that runs full ends in one line, whichever library was writing; nothing is left."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np, xarray as xr
from matplotlib.figure import Figure
from vrlprobe._group import CleanGroup
from vrlprobe.figures.style import save_figure
from vrlprobe.results.file import save_result
from vrlprobe.samples.file import save_samples
from vrlprobe.samples.sample_set import SampleSet
from vrlprobe.analyses._transplant import Transplant
from vrlprobe.runs import build
import click

abandon = build.abandon

def lifted(*arguments):  # a full disk, unlike this limit, does not hold for scratch files
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    abandon(*arguments)

@click.group(cls=CleanGroup)
def main(): ...

@main.command()
def result():
    values = np.random.default_rng(0).random(4000)
    save_result(xr.Dataset({"a": ("x", values)}, attrs={"vrlprobe": "probe"}), "out.nc")

@main.command()
def samples():
    images = np.random.default_rng(0).integers(0, 255, (8, 3, 64, 64), np.uint8)
    index, one = np.arange(8)[:, None], np.zeros(8, int)
    save_samples(SampleSet(images, index, index / 8, one, one, one, ("x",), {}, (), 0), "out.h5")

@main.command()
def figure():
    drawn = Figure()
    drawn.subplots().plot(np.random.default_rng(0).random(4000))
    save_figure(drawn, "out.pdf")

@main.command()
def run():
    build.abandon = lifted
    values = np.random.default_rng(0).random(100_000, np.float32)
    Transplant("x", {"action_dim": 1}, {"actor/a": values}, {}).save("out.h5")

size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, -1))
main()
"""


@pytest.mark.parametrize("size", [0, 100, 9000, 20_000, 25_500])
@pytest.mark.parametrize(
    ("kind", "ending"), [("result", "nc"), ("samples", "h5"), ("figure", "pdf")]
)
def test_a_file_that_cannot_grow(kind, ending, size, tmp_path):
    fails(kind, f"out.{ending}", size, tmp_path)


@pytest.mark.parametrize("size", [0, 100, 9000, 100_000, 400_000])
def test_a_run_that_replaces_nothing_yet(size, tmp_path):
    """Its writer would have the part salvaged that is removed here."""
    fails("run", "out.h5", size, tmp_path)


def fails(kind, name, size, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", CODE, str(size), kind],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert ended.stderr == f"-c: cannot write {name}: File too large\n"
    assert ended.returncode == 1
    assert list(tmp_path.iterdir()) == []
