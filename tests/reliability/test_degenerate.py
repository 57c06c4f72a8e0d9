"""A diverged run is an answer: what is not a number is named, and the rest goes on."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import vrlprobe
from tests.conftest import write_run
from tests.reliability.programs import Programs
from vrlprobe.analyses import cohort
from vrlprobe.errors import SampleError
from vrlprobe.runs.schema import DIGEST, parameters_digest
from vrlprobe.samples.make import make_samples, weak_runs

pytestmark = pytest.mark.reliability
WINDOW = {"rule_window": 1000}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    path = tmp_path_factory.mktemp("good") / "run.h5"
    return write_run(path, frames=(0, 1000), reward=30.0, config=WINDOW)


@pytest.fixture
def spoilt(good: Path, tmp_path: Path) -> Callable[..., Path]:
    """`spoilt("rollouts/rewards", 1, value)` puts a value into a row of a copy of the run."""

    def spoil(name: str, row: int, value: float, *place: int | slice) -> Path:
        path = tmp_path / "run.h5"
        path.write_bytes(good.read_bytes())
        with h5py.File(path, "r+", libver="v110") as file:
            file[name][(row, *place)] = value
            if name.startswith("checkpoints/"):
                group = file["checkpoints"]
                names: list[str] = []
                group.visititems(
                    lambda part, item: names.append(part) if hasattr(item, "shape") else None
                )
                digest = parameters_digest({part: group[part][row] for part in names})
                file[DIGEST][row] = np.frombuffer(digest, np.uint8)
        return path

    return spoil


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_metrics_of_weights_that_are_no_numbers(
    spoilt: Callable[..., Path], value: float, programs: Programs, tmp_path: Path
) -> None:
    spoilt("checkpoints/encoder/convnet.0.weight", 1, value)
    ended = programs.run(tmp_path, "metrics", "run.h5", "-o", "a.nc")
    assert (ended.code, ended.is_clean) == (0, True), ended
    assert "NaN or infinite activations, so no metrics: run at 1000" in ended.err
    found = vrlprobe.load_result(tmp_path / "a.nc")["numerical_rank"].sel(run="run", layer="mlp1")
    assert np.isfinite(found.sel(frame=0))
    assert np.isnan(found.sel(frame=1000))


def test_an_episode_with_a_state_that_is_no_number_is_left_out(
    spoilt: Callable[..., Path],
) -> None:
    path = spoilt("rollouts/states", 1, np.nan, 2, 7, 3)
    told = r"run\.h5: left out 1 of 4 episodes, with NaN or infinite velocity\[0\]"
    with vrlprobe.open_run(path) as run, pytest.warns(UserWarning, match=told):
        made = make_samples(run, 60)
    assert np.isfinite(made.states).all()
    assert made.sources[0].n_episodes == 3


def test_a_reward_that_is_no_number_is_no_return(spoilt: Callable[..., Path]) -> None:
    """The log's return does not stand for it, and the run is not taken for a good one."""
    path = spoilt("rollouts/rewards", 1, np.nan, 2, 5)
    with vrlprobe.open_run(path) as run:
        assert np.isnan(run.mean_return(1000))
        assert weak_runs([run]) == ["run.h5 returns nan (good: 20)"]
        with pytest.raises(SampleError, match=r"run\.h5: a run without a return"):
            cohort(run)


def test_an_infinite_reward(
    spoilt: Callable[..., Path], programs: Programs, tmp_path: Path
) -> None:
    path = spoilt("rollouts/rewards", 0, np.inf, 2, 5)
    ended = programs.run(tmp_path, "report", "run.h5", "-o", "a.html")
    assert (ended.code, ended.is_clean) == (0, True), ended
    spoilt("rollouts/rewards", 1, np.inf, 2, 5)
    with (
        vrlprobe.open_run(path) as run,
        pytest.raises(SampleError, match=r"run\.h5: a run with a return of inf"),
    ):
        cohort(run)
