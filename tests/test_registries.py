"""One line in a table is enough: its entry is in choices, results, captions and help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MORE = """
import importlib, json, sys, types
from dataclasses import replace

from vrlprobe.probes.kinds import PROBES
from vrlprobe.metrics.registry import LAYERED, LayerMetric
from vrlprobe.collapse import indicators

PROBES["twin"] = replace(PROBES["ridge"], caption="twin of ridge", edge_note="+ the twin's note")
count = lambda layer: float((layer.activations != 0).any(axis=0).sum())
LAYERED["live_units"] = LayerMetric("units that are not dead", "live units", count)
indicators.INDICATORS += (indicators.Indicator("live_units[mlp1]", 0.5),)

from vrlprobe.figures._kinds import FIGURES, FigureKind

FIGURES["twin"] = FigureKind("_twin", "twins")
sys.modules["vrlprobe.figures._twin"] = types.SimpleNamespace(twin=lambda result: "drawn")
import vrlprobe.figures
figures = importlib.reload(vrlprobe.figures)

from click.testing import CliRunner
from vrlprobe.cli.main import main

def call(*words):
    done = CliRunner().invoke(main, list(map(str, words)))
    return " ".join((done.output + done.stderr).split())
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a process with one more entry in each table says, on the fixtures."""
    folder = tmp_path_factory.mktemp("more")
    architecture = folder / "more-1.dist-info"
    architecture.mkdir()
    (architecture / "METADATA").write_text("Name: more\nVersion: 1\n")
    (architecture / "entry_points.txt").write_text("[vrlprobe.agents]\nmore = more:Agent\n")
    code = f"""{MORE}
learned, collapsed = (f"fixtures/walker_walk-{{name}}.h5" for name in ("learned", "collapsed"))
options = ("--samples", learned, "--layers", "mlp1,mlp2", "--no-cache", "--components", "height")
found = {{}}
for kind in ("ridge", "twin"):
    path = f"{folder}/{{kind}}.nc"
    found[kind] = call("probe", collapsed, *options, "--probe", kind, "-o", path)
    result = vrlprobe.load_result(path)
    found[kind + "_mse"] = result["test_mse"].values.ravel().tolist()
    axes = figures.layers(result).figure.axes
    found[kind + "_caption"] = " ".join(ax.get_xlabel() + ax.get_ylabel() for ax in axes)
found["probe_help"] = call("probe", "--help")
found["wrong"] = call("probe", learned, "--probe", "x")
path = "{folder}/metrics.nc"
call("metrics", learned, "--samples", learned, "--frames", "last", "-o", path)
result = vrlprobe.load_result(path)
found["live"] = result["live_units"].sel(layer="mlp1").values.ravel().tolist()
found["dead"] = result["dead_units"].sel(layer="mlp1").values.ravel().tolist()
found["live_text"] = result["live_units"].attrs["long_name"]
drawn = figures.metrics(result, metrics=["live_units"])
found["heading"] = [ax.get_title(loc="left") for ax in drawn.figure.axes]
found["export"] = "live_units" in vrlprobe.analyses.metrics.__doc__
found["collapse_help"] = call("collapse", "--help")
found["verdict"] = call("collapse", learned, "--samples", learned)
found["import_help"] = call("import", "--help")
found["figures"] = [figures.plot(result.assign_attrs(vrlprobe="twins")), "twin" in figures.__all__]
print(json.dumps(found))
"""
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_probe(told) -> None:
    assert told["twin_mse"] == told["ridge_mse"]
    assert "twin of ridge probe" in told["twin_caption"]
    assert "twin" not in told["ridge_caption"]
    assert ("the twin's note" in told["twin"]) == ("largest penalty tried" in told["ridge"])
    assert "twin" in told["probe_help"]
    assert "twin" in told["wrong"]


def test_a_metric(told) -> None:
    """mlp1 of the fixture has 176 units: they are dead or live."""
    assert [live + dead for live, dead in zip(told["live"], told["dead"], strict=True)] == [176]
    assert told["live_text"] == "units that are not dead"
    assert "live units" in told["heading"]
    assert told["export"]


def test_an_indicator(told) -> None:
    assert "live_units[mlp1]=0.5" in told["collapse_help"]
    live = f"live_units[mlp1] {told['live'][0]:.2g}, above 0.5"
    assert live in told["verdict"]


def test_an_architecture(told) -> None:
    assert "more" in told["import_help"].split("--architecture")[1].split("]")[0]


def test_a_figure(told) -> None:
    assert told["figures"] == ["drawn", True]


def test_a_reader_of_checkpoints(tmp_path, monkeypatch) -> None:
    from vrlprobe.checkpoints import read
    from vrlprobe.checkpoints.checkpoint import Checkpoint

    def mine(source):
        if source.path.suffix != ".mine":
            return None
        return Checkpoint("mine", {"image_size": source.image_size}, {})

    monkeypatch.setattr(read, "READERS", {"mine": mine, **read.READERS})
    path = tmp_path / "a.mine"
    path.write_text("anything")
    found = read.read_checkpoint(path, image_size=64)
    assert (found.kind, found.config) == ("mine", {"image_size": 64})
