"""The picture of atoms: rings where the dataset's boxes are, the image and the field beneath."""

import numpy as np

from vrlprobe.analyses._units import units
from vrlprobe.figures._units import draw
from vrlprobe.runs.reader import open_run


def test_a_ring_an_atom_over_the_image(make_run) -> None:
    with (
        open_run(make_run("a.h5", frames=(0, 1000))) as run,
        open_run(make_run("b.h5", seed=2)) as b,
    ):
        found = units(run, [b], layers=("cnn2",), max_atoms=4)
    names = found["component"].values.tolist()
    for ax, name in zip(draw(found).axes, names, strict=False):
        part = found.isel(layer=0).sel(component=name)
        count = int(part["sparsity"])
        boxes = part["box"].values[:count]
        expected = np.stack(
            [(boxes[:, 1] + boxes[:, 3] - 1) / 2, (boxes[:, 0] + boxes[:, 2] - 1) / 2]
        )
        np.testing.assert_array_equal(np.asarray(ax.collections[0].get_offsets()).T, expected)
        grey = found["image"].values.mean(axis=-1)
        np.testing.assert_array_equal(ax.images[0].get_array(), grey)
        hot = ax.images[1].get_array()[..., 3] > 0
        np.testing.assert_array_equal(hot, part["field"].values > 0)
        assert ax.get_title("left").startswith(f"{name}, cnn2")
    assert [ax.get_title("left").split("\n")[-1] for ax in draw(found).axes][4] == "constant"
    (key,) = draw(found).legends
    assert len(key.get_texts()) == 3
