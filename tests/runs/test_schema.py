"""The layout: its JSON, its digest, and any run it allows, there and back."""

import hashlib
import tempfile
from pathlib import Path

import full_run
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vrlprobe.errors import FormatError
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.salvage import copy_run
from vrlprobe.runs.schema import Layout, layout_from_json, parameters_digest
from vrlprobe.runs.writer import RunWriter


def test_a_layout_survives_json(tmp_path):
    """Tuples, order and all."""
    with full_run.create(tmp_path / "run.h5") as writer:
        layout = writer.layout
    again = layout_from_json(layout.to_json())
    assert again == layout
    assert list(again.datasets()) == list(layout.datasets())
    assert list(again.datasets())[-1] == "log/frame"


def test_image_chunks_divide_an_episode_evenly():
    """501 images are 11 chunks of 46, not 10 of 50 and one of 1."""
    layout = Layout({"a/w": (1,)}, image_shape=(3, 84, 84), max_episodes=10, max_steps=500)
    assert layout.datasets()["rollouts/images"].chunk == (1, 46, 3, 84, 84)


def test_what_has_no_extent_is_left_out():
    """No actions, no components, no images, no batch."""
    layout = Layout({"a/w": (1,)}, max_episodes=1, max_steps=2)
    expected = ["checkpoints/a/w", "rollouts/rewards", "rollouts/length", "rollouts/n_images"]
    assert list(layout.datasets()) == [*expected, "run/digest", "log/frame"]


def test_the_digest_is_what_the_specification_says():
    """By name; each name, shape and little-endian bytes."""
    parameters = {"b/w": np.ones((2, 1), np.float32), "a/w": np.zeros((), np.float32)}
    text = b"a/w\0\0" + bytes(4) + b"b/w\0" + b"2x1\0" + b"\0\0\x80\x3f" * 2
    assert parameters_digest(parameters) == hashlib.sha256(text).digest()


@pytest.mark.parametrize("sizes", [{"max_episodes": 1}, {"batch_size": 1}, {"frame_stack": 0}])
def test_numbers_that_make_no_sense_together(sizes):
    """Episodes without steps, a batch without images, a stack of nothing."""
    with pytest.raises(FormatError):
        Layout({"a/w": (1,)}, **sizes)


@st.composite
def runs(draw):
    """A layout and a few commits of it."""
    n = draw(st.integers(0, 3))
    layout = Layout(
        parameters={
            f"part{i}/w": tuple(draw(st.lists(st.integers(1, 4), max_size=3))) for i in range(2)
        },
        components=tuple("abc"[: draw(st.integers(0, 3))]),
        n_actions=draw(st.integers(0, 2)),
        physics_dim=draw(st.integers(0, 2)),
        image_shape=draw(st.sampled_from([None, (3, 2, 3)])),
        max_episodes=n,
        max_steps=draw(st.integers(1, 60)) if n else 0,
        log={"x": (), "y": ("layer",)},
        coords={"layer": ("l0", "é")},
    )
    return layout, draw(st.lists(st.integers(0, n), max_size=3)), draw(st.integers(0, 2**32 - 1))


def _episode(layout, rng):
    n = int(rng.integers(1, layout.max_steps + 1))
    with_images = layout.image_shape and rng.random() < 0.5
    return Episode(
        rng.integers(0, 256, (n + 1, *layout.image_shape), np.uint8) if with_images else None,
        rng.standard_normal((n, layout.n_actions)).astype(np.float32),
        rng.standard_normal(n).astype(np.float32),
        rng.standard_normal((n + 1, len(layout.components))),
        rng.standard_normal((n + 1, layout.physics_dim)),
    )


@settings(max_examples=15, deadline=None)
@given(runs())
def test_any_run_there_and_back(case):
    """Written, copied, read: equal."""
    layout, counts, seed = case
    rng = np.random.default_rng(seed)
    truth = []
    with tempfile.TemporaryDirectory() as folder:
        path, copy = Path(folder) / "run.h5", Path(folder) / "copy.h5"
        with RunWriter.from_layout(path, layout, {}, {}) as writer:
            for i, count in enumerate(counts):
                weights = {
                    k: rng.standard_normal(s).astype("f4") for k, s in layout.parameters.items()
                }
                episodes = [_episode(layout, rng) for _ in range(count)]
                writer.commit(10 * i, weights, episodes, {"y": [i, -i]})
                truth.append((weights, episodes))
        copy_run(path, copy)
        with open_run(copy) as run:
            assert run.layout == layout
            for i, (weights, episodes) in enumerate(truth):
                _same(run, 10 * i, weights, episodes)
                assert run.log["y"].sel(frame=10 * i, layer="é") == -i


def _same(run, frame, weights, episodes):
    for name, array in run.parameters(frame).items():
        np.testing.assert_array_equal(array, weights[name])
    rollout = run.rollout(frame)
    assert len(rollout) == len(episodes)
    for stored, true in zip(rollout, episodes, strict=True):
        for name in ("images", "actions", "rewards", "states", "physics"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(true, name))
