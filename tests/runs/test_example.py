"""The documented ways to write a run: the example, and the layout that the specification shows."""

import json
import subprocess
import sys
from pathlib import Path

import h5py

from vrlprobe.runs.reader import READERS, open_run
from vrlprobe.runs.verify import verify_run

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "vrlprobe" / "runs" / "SPEC.md").read_text()


def _example(path):
    script = ROOT / "docs" / "examples" / "write_run.py"
    subprocess.run([sys.executable, script, path], check=True)
    return script


def test_the_example_writes_a_good_run(tmp_path):
    """In about twenty lines; it verifies and reads."""
    path = tmp_path / "run.h5"
    script = _example(path)
    code = [line for line in script.read_text().splitlines() if line and not line.startswith('"""')]
    assert len(code) <= 25
    assert verify_run(path).problems == ()
    with open_run(path) as run:
        assert run.frames.tolist() == [0, 1000, 2000]
        assert run.rollout(2000).returns.tolist() == [100]
        assert (
            run.parameters(1000)["actor/policy.weight"][0, 0]
            == run.parameters(0)["actor/policy.weight"][0, 0] * 2
        )


def test_the_specification_shows_its_layout(tmp_path):
    """Word for word what the example's file holds."""
    path = tmp_path / "run.h5"
    _example(path)
    shown = json.loads(SPEC.split("```json")[1].split("```")[0])
    with h5py.File(path, "r") as file:
        assert json.loads(file["run/layout"][:].tobytes()) == shown


def test_the_specification_names_every_dataset_and_version(tmp_path):
    """Of a run of each kind of dataset."""
    path = tmp_path / "run.h5"
    _example(path)
    with open_run(path) as run:
        for name in (*run.dataset_paths, "batch/size", "batch/observations", "batch/noise"):
            if not name.startswith(("checkpoints/", "log/e", "log/g")):
                assert f"`{name}`" in SPEC, name
    for version in READERS:
        assert f"\n| {version} |" in SPEC
