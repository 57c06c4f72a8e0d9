"""Film strips show the recorded images, or the same ones rendered from the physics."""

import numpy as np
import pytest

from vrlprobe.analyses._film import Renderer, film
from vrlprobe.errors import SampleError
from vrlprobe.runs.reader import open_run

LEARNED = "fixtures/walker_walk-learned.h5"
COLLAPSED = "fixtures/walker_walk-collapsed.h5"


def test_the_images_are_those_recorded_at_these_frames() -> None:
    with open_run(LEARNED) as run:
        strip = film(run, episodes=[0, 3], count=4, until=300)
        assert strip["frame"].values.tolist() == [0, 100, 200, 300]
        assert strip["episode"].values.tolist() == [0, 3]
        rollout = run.rollout(100_000)
        images = rollout[3].images[[0, 50, 100, 150]].transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(strip["image"].values[1], images)
        assert strip["episode_return"].values[1] == rollout[3].episode_return
        assert not strip["rendered"].any()
        assert strip.attrs["action_repeat"] == 2
        assert strip.attrs["step_seconds"] == pytest.approx(0.05)  # 2 frames of 25 ms


def test_runs_are_aligned_and_rows_are_in_order() -> None:
    with open_run(LEARNED) as one, open_run(COLLAPSED) as other:
        strip = film([one, other], count=3, episodes=[1, 0])
    assert (
        strip["run"].values.tolist() == ["walker_walk-learned"] * 2 + ["walker_walk-collapsed"] * 2
    )
    assert strip["episode"].values.tolist() == [1, 0, 1, 0]
    still = strip["image"].values[3, 1:].astype(int)  # a collapsed agent stands still
    assert abs(still[0] - still[1]).mean() < 2


@pytest.mark.needs("egl")
def test_renderer_the_physics_gives_the_recorded_image() -> None:
    with open_run(LEARNED) as run, Renderer() as render:
        episode = run.rollout(100_000)[0]
        again = render(run, episode.physics[[10]])[0].astype(int)
        assert abs(again - episode.images[10]).mean() < 3
        render(run, run.rollout(100_000)[1].physics[[50]], 64)
        np.testing.assert_array_equal(render(run, episode.physics[[10]])[0], again)


@pytest.mark.needs("egl")
def test_episodes_without_images_are_rendered() -> None:
    with open_run(LEARNED) as run:
        strip = film(run, frame=8000, count=2, size=None)
        assert strip["rendered"].all()
        assert strip["image"].shape == (1, 2, 48, 48, 3)
        assert film(run, count=2, size=64)["image"].shape == (1, 2, 64, 64, 3)


@pytest.mark.parametrize("option", [{"until": -1}, {"count": 0}, {"count": 2.5}, {"size": 0}])
def test_numbers_that_cannot_be(option) -> None:
    with open_run(LEARNED) as run, pytest.raises(ValueError, match=rf"^{next(iter(option))} must"):
        film(run, **option)


@pytest.mark.needs("egl")
def test_what_cannot_be_shown(make_run) -> None:
    with open_run(make_run("a.h5", frames=(0, 1000))) as run:
        with pytest.raises(SampleError, match=r"no episode 9 at frame 1000: it recorded 4"):
            film(run, episodes=[9])
        with pytest.raises(SampleError, match="no episode is asked for"):
            film(run, episodes=[])
        with pytest.raises(SampleError, match="3 numbers of physics where walker_walk has"):
            film(run, size=20)
        strip = film(run, until=None, count=None)
        assert strip.sizes["time"] == 41
    small = "fixtures/cartpole_balance.h5"
    unlike = pytest.raises(SampleError, match="share their image size")
    with open_run(LEARNED) as one, open_run(small) as other, unlike:
        film([one, other], count=2)
