"""A film strip's pictures are the dataset's images, in rows and columns."""

import numpy as np

from vrlprobe.analyses._film import film
from vrlprobe.figures._film import draw
from vrlprobe.runs.reader import open_run


def test_every_image_is_in_its_place(make_run) -> None:
    paths = [make_run(f"seed{i}.h5", seed=i, frames=(0, 1000)) for i in (1, 2)]
    with open_run(paths[0]) as one, open_run(paths[1]) as other:
        strip = film([one, other], count=3, until=60)
    axes = np.reshape(draw(strip).axes, (2, 3))
    for row, place in np.ndindex(2, 3):
        shown = axes[row, place].images[0].get_array()
        np.testing.assert_array_equal(shown, strip["image"].values[row, place])
    assert [ax.get_title() for ax in axes[0]] == [str(f) for f in strip["frame"].values]
    assert axes[1, 0].get_ylabel() == "seed2\nat 1k, episode 0\nreturn 40"


def test_numbers_that_would_touch_are_left_out(make_run) -> None:
    with open_run(make_run("a.h5")) as run:
        many = draw(film(run, count=40, until=40))
    titles = [ax.get_title() for ax in many.axes]
    assert titles[0] == "0"
    assert titles[1] == ""
    assert 10 <= sum(title != "" for title in titles) <= 20
