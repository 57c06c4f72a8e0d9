"""`vrlprobe import`, as it is typed."""

import json
import os

import numpy as np
import torch

from tests.checkpoints.strangers import DrQV2Agent, save
from tests.checkpoints.test_hostile import Call
from tests.cli.outcome import failed
from vrlprobe.analyses._film import film
from vrlprobe.runs.reader import open_run

QUICK = ("--task", "cartpole_balance", "--action-repeat", 50, "-o", "run.h5")


def test_a_snapshot_is_imported_and_probed(tmp_path, call):
    save(tmp_path / "snapshot.pt", DrQV2Agent(actions=1))
    done = call("import", "snapshot.pt", *QUICK, "--episodes", 3)
    assert done.exit_code == 0, done.output
    assert "2,500,000" in done.stdout
    assert "DrQ-v2 agent (drqv2.DrQV2Agent)" in done.stdout
    assert "wrote run.h5" in done.stderr
    assert "snapshot.pt at 2,500,000" in call("info", "run.h5").stdout
    probed = call("probe", "run.h5", "--layers", "mlp1", "--max-atoms", 3, "-o", "p.nc")
    assert probed.exit_code == 0, probed.output
    assert "velocity[1]" in probed.stdout
    assert call("metrics", "run.h5").exit_code == 0
    assert call("verify", "run.h5").exit_code == 0


def test_arrays_without_actions_or_rewards_are_measured(tmp_path, call):
    save(tmp_path / "snapshot.pt", DrQV2Agent(actions=1))
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 20, 3), dtype=np.uint8)
    np.savez(tmp_path / "o.npz", images=images, lengths=[20] * 3, x=np.arange(60))
    assert not call(
        "import", "snapshot.pt", "--task", "maze", "--observations", "o.npz", "-o", "run.h5"
    ).exit_code
    measured = call("metrics", "run.h5")
    assert measured.exit_code == 0, measured.output
    assert measured.stderr.count("warning") == 1  # there is no sample set
    failed(call("collapse", "run.h5"), "give it (--window)")


def test_grey_images_are_shown_grey(tmp_path, call):
    save(tmp_path / "snapshot.pt", DrQV2Agent(actions=1))
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 20), dtype=np.uint8)
    states = {"x": np.arange(60), "rewards": images.mean((1, 2))}
    np.savez(tmp_path / "o.npz", images=images, lengths=[20] * 3, **states)
    call("import", "snapshot.pt", "--task", "maze", "--observations", "o.npz", "-o", "run.h5")
    with open_run(tmp_path / "run.h5") as run:
        strip = film(run, count=5, until=None)
    shown = strip["image"].values[0]
    recorded = images[strip["frame"].values // strip.attrs["action_repeat"]]
    np.testing.assert_array_equal(shown, np.stack([recorded] * 3, axis=-1))
    options = ("--window", 100, "--good", 5, "--bad", 1)
    told = call("report", "run.h5", *options, "-o", "r.html")
    assert told.exit_code == 0, told.output
    assert "data:image/jpeg" in (tmp_path / "r.html").read_text()


def test_json(tmp_path, call):
    save(tmp_path / "snapshot.pt", DrQV2Agent(actions=1))
    done = call("import", "snapshot.pt", *QUICK, "--episodes", 0, "--json", "--frame", "1e5")
    assert json.loads(done.stdout) == [
        {
            "path": "snapshot.pt",
            "frame": 100_000,
            "kind": "DrQ-v2 agent (drqv2.DrQV2Agent)",
            "episodes": 0,
            "episode_return": None,
        }
    ]


def test_mistakes_end_in_one_line(tmp_path, call):
    save(tmp_path / "snapshot.pt", DrQV2Agent(actions=1))
    torch.save({"agent": Call(os.system, "touch ran")}, tmp_path / "evil.pt")
    failed(call("import", "evil.pt", *QUICK), "system", "nothing of it was run")
    failed(call("import", "none.pt", *QUICK), "none.pt: no such file")
    failed(call("import", "snapshot.pt", "--task", "cartpole_balanc", "-o", "r.h5"), "cartpole_bal")
    failed(call("import", "snapshot.pt", *QUICK, "--frame", "early"), "needed numbers", code=2)
    failed(call("import", "snapshot.pt", *QUICK[:-1], "nowhere/r.h5"), "there is no folder nowhere")
    failed(call("import", "snapshot.pt", *QUICK, "--observations", "o.npz"), "o.npz: no such file")
    assert {path.name for path in tmp_path.iterdir()} == {"snapshot.pt", "evil.pt"}
