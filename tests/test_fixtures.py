"""The repository's real runs: sound files, and what their probes say."""

from pathlib import Path

import pytest
import xarray as xr

from vrlprobe.analyses import probe
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.verify import verify_run
from vrlprobe.samples.make import make_samples

FOLDER = Path(__file__).parent.parent / "fixtures"
LEARNED = FOLDER / "walker_walk-learned.h5"
COLLAPSED = FOLDER / "walker_walk-collapsed.h5"
CARTPOLE = FOLDER / "cartpole_balance.h5"
RUNS = (LEARNED, COLLAPSED, CARTPOLE)


@pytest.fixture(scope="module")
def compared() -> xr.Dataset:
    """Both walkers on the same samples, every layer and component; few atoms, to save time."""
    with open_run(LEARNED) as learned, open_run(COLLAPSED) as collapsed:
        return probe([learned, collapsed], make_samples([learned]), keep_own=True, max_atoms=40)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_fixture_verifies(path: Path) -> None:
    assert verify_run(path).problems == ()
    with open_run(path) as run:
        assert run.state == "sealed"
        assert len(run.frames) >= 3
        assert run.provenance["origin"][-1]["operation"] == "copy"


def test_fixtures_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 30e6


@pytest.mark.parametrize("path", [LEARNED, COLLAPSED], ids=lambda path: path.stem)
def test_walkers_hold_enough_samples(path: Path) -> None:
    with open_run(path) as run:
        episodes = [e for e in run.rollout(run.frames[-1]) if e.images is not None]
        assert len(episodes) >= 3
        assert sum(len(episode) + 1 for episode in episodes) >= 1500


def test_the_returns_tell_the_two_walkers_apart() -> None:
    with open_run(LEARNED) as learned, open_run(COLLAPSED) as collapsed:
        assert learned.log["episode_return"].values[-1] > 250  # a random policy: about 40
        assert collapsed.log["episode_return"].values[-1] < 45


def test_the_collapsed_walker_does_one_thing_whatever_it_sees() -> None:
    with open_run(LEARNED) as learned, open_run(COLLAPSED) as collapsed:
        observations = learned.rollout(learned.frames[-1])[0].observations(indices=range(0, 500, 5))
        spreads = [
            run.agent(run.frames[-1]).act(observations).std(axis=0).mean()
            for run in (learned, collapsed)
        ]
    assert spreads[0] > 0.2
    assert spreads[1] < 0.001


def test_gradient_norms_are_recomputed_from_the_file() -> None:
    with open_run(CARTPOLE) as run:
        frames = [f for f in run.frames if run.batch(f) is not None and _updates(run, f)]
        assert frames
        for frame in frames:
            logged = run.log["grad_norm"].sel(frame=frame)
            for layer, norm in run.agent(frame).gradient_norms(*run.batch(frame)).items():
                assert norm == pytest.approx(float(logged.sel(layer=layer)), rel=1e-4)


def _updates(run, frame: int) -> int:
    return int(run.log["updates"].sel(frame=frame))


def test_cnn4_beats_the_pixels_on_velocities(compared: xr.Dataset) -> None:
    learned = compared["test_r2"].isel(run=0).max("frame")
    speeds = [name for name in compared["component"].values if "velocity" in name]
    gain = (learned.sel(layer="cnn4") - learned.sel(layer="cnn0")).sel(component=speeds)
    assert float(gain.mean()) > 0.02
    assert float(gain.sel(component="torso_velocity")) > 0.02


def test_the_later_layers_tell_the_two_walkers_apart(compared: xr.Dataset) -> None:
    """The paper's observation 3: the gap is in the MLP, the CNN's is small."""
    pose = [name for name in compared["component"].values if "velocity" not in name]
    scores = compared["test_r2"].max("frame").sel(component=pose).mean("component")
    gap = scores.isel(run=0) - scores.isel(run=1)
    assert float(gap.sel(layer="cnn0")) == 0
    cnn, mlp = (
        gap.sel(layer=[n for n in gap["layer"].values if kind in n]) for kind in ("cnn", "mlp")
    )
    assert float(cnn.max()) < 0.15
    assert float(mlp.min()) > 1.5 * float(cnn.max())
