"""The replay against straightforward numpy: padding, returns, stacks, and the ring."""

import errno
import os
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vrlprobe.errors import VrlprobeError
from vrltrain import device_replay, jobs
from vrltrain.config.profiles import paper
from vrltrain.device_replay import BESIDE, ROOM, DeviceReplay, make_replay
from vrltrain.replay import Batch, Replay, crop

SHAPE = (3, 6, 5)
IMAGES = {"image_shape": SHAPE, "n_actions": 2}


def make(path, capacity=40, slack=20, episode_steps=10) -> Replay:
    sizes = {"capacity": capacity, "slack": slack, "episode_steps": episode_steps}
    return Replay(path / "replay.bin", **sizes, **IMAGES)


def episode(steps: int, first: int):
    """Images whose every pixel is their number; actions, rewards and discounts that tell theirs."""
    times = np.arange(first, first + steps + 1)
    images = np.broadcast_to(times[:, None, None, None], (steps + 1, *SHAPE)).astype(np.uint8)
    actions = np.stack([times[1:], -times[1:]], axis=1).astype(np.float32)
    return images, actions, times[1:].astype(float), np.full(steps, 0.9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.data())
def test_crop_equals_padding_and_cutting(pad: int, data) -> None:
    dy, dx = data.draw(st.integers(0, 2 * pad)), data.draw(st.integers(0, 2 * pad))
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 9, 8), dtype=np.uint8)
    padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="edge")
    out = np.empty_like(images)
    crop(images, dy, dx, pad, out)
    np.testing.assert_array_equal(out, padded[..., dy : dy + 9, dx : dx + 8])


@pytest.mark.parametrize("n_step", [1, 3])
def test_a_transition_is_what_the_episode_says(tmp_path, n_step: int) -> None:
    replay = make(tmp_path)
    replay.add(*episode(10, first=100))
    batch = replay.sample(200, n_step, 0.5, np.random.default_rng(0))
    seen = set()
    for row in range(200):
        stack = batch.observations[row].reshape(3, -1)[:, 0].astype(int)
        now = stack[-1]
        seen.add(now - 100)
        np.testing.assert_array_equal(stack, np.maximum([now - 2, now - 1, now], 100))
        after = batch.next_observations[row].reshape(3, -1)[:, 0].astype(int)
        expected = now + n_step
        np.testing.assert_array_equal(
            after, np.maximum([expected - 2, expected - 1, expected], 100)
        )
        np.testing.assert_array_equal(batch.actions[row], [now + 1, -(now + 1)])
        rewards = sum((0.9 * 0.5) ** i * (now + 1 + i) for i in range(n_step))
        assert batch.rewards[row, 0] == pytest.approx(rewards)
        assert batch.discounts[row, 0] == pytest.approx((0.9 * 0.5) ** n_step)
    assert seen == set(range(10 - n_step + 1))


def test_shifts_are_uniform_and_drawn_apart_for_both_observations(tmp_path) -> None:
    replay = make(tmp_path)
    ramp = np.broadcast_to(np.arange(6)[:, None] * 10 + np.arange(5), (11, *SHAPE)).astype(np.uint8)
    replay.add(ramp, np.zeros((10, 2)), np.zeros(10), np.ones(10))
    batch = replay.sample(3000, 1, 0.99, np.random.default_rng(0), pad=1)
    shifts = [
        stacked[:, 0, 2, 2].astype(int) - 22
        for stacked in (batch.observations, batch.next_observations)
    ]
    for shift in shifts:
        values, counts = np.unique(shift, return_counts=True)
        assert set(values) == {-11, -10, -9, -1, 0, 1, 9, 10, 11}
        assert counts.min() > 3000 / 9 * 0.8
    assert abs(np.corrcoef(*shifts)[0, 1]) < 0.08
    assert (batch.observations == batch.observations[:, :1]).all()  # one shift for all channels


def test_the_oldest_episodes_leave_and_the_ring_wraps(tmp_path) -> None:
    replay = make(tmp_path, capacity=40, slack=20, episode_steps=10)
    for index in range(23):
        replay.add(*episode(10, first=11 * index))
    assert len(replay) == 40
    batch = replay.sample(400, 1, 0.99, np.random.default_rng(0))
    newest = batch.observations.reshape(400, 3, -1)[:, -1, 0]
    assert set(newest // 11) == {19, 20, 21, 22}


def test_what_was_live_at_a_checkpoint_survives_one_interval(tmp_path) -> None:
    replay = make(tmp_path, capacity=40, slack=20, episode_steps=10)
    for index in range(17):
        replay.add(*episode(10, first=11 * index))
    episodes, head = list(replay.episodes), replay.head
    before = replay.sample(100, 1, 0.99, np.random.default_rng(7))
    for _ in range(2):  # an interval's worth, then a kill
        replay.add(*episode(10, first=0))
    replay.close()
    again = make(tmp_path, capacity=40, slack=20, episode_steps=10)
    again.restore(head, episodes)
    after = again.sample(100, 1, 0.99, np.random.default_rng(7))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


SIZES = {"capacity": 40, "slack": 20, "episode_steps": 10, **IMAGES}


def numbers(replay, start: int, length: int):
    """What the file holds of an episode: the number that all of an image's pixels are."""
    records = np.fromfile(replay.path, replay.record)
    return records["image"][np.arange(start, start + length + 1) % replay.n_records, 0, 0, 0]


@pytest.mark.parametrize("steps", [1, 2, 3, 9])
def test_short_episodes_overwrite_none_that_can_be_sampled(tmp_path, steps: int) -> None:
    """Their first images take room, too: 40 transitions in episodes of one are 80 records."""
    replay = make(tmp_path, slack=0)
    for first in range(0, 240, 2):
        replay.add(*episode(steps, first))
        newest = range(first, -1, -2)
        for (start, length), begun in zip(reversed(replay.episodes), newest, strict=False):
            np.testing.assert_array_equal(
                numbers(replay, start, length), np.arange(begun, begun + length + 1)
            )
    assert 20 <= len(replay) <= 40 + steps


@pytest.mark.parametrize("restored", [False, True])
def test_what_a_checkpoint_needs_is_not_overwritten_but_refused(tmp_path, restored: bool) -> None:
    replay = make(tmp_path)
    for first in range(0, 100, 2):
        replay.add(*episode(1, first))
    replay.sync()
    if restored:
        replay.restore(replay.head, list(replay.episodes))
    there = list(replay.episodes)
    before = [numbers(replay, *each).tolist() for each in there]
    for _ in range((replay.n_records - replay._most_live) // 2):
        replay.add(*episode(1, 200))
    with pytest.raises(VrlprobeError, match=r"no room before .*`eval_every_frames`"):
        replay.add(*episode(1, 200))
    assert [numbers(replay, *each).tolist() for each in there] == before


def make_on(device: str, path) -> DeviceReplay:
    """As `make`, its images on a device, whether or not there is a reason to keep them there."""
    return DeviceReplay(path / "replay.bin", device, **SIZES)


def same_batches(one: Batch, two: Batch) -> None:
    for name, left, right in zip(Batch._fields, one, two, strict=True):
        np.testing.assert_array_equal(left, torch.as_tensor(right).cpu().numpy(), err_msg=name)
        assert left.dtype == torch.as_tensor(right).cpu().numpy().dtype


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("n_step", "pad"), [(1, 0), (3, 2)])
def test_a_device_gives_the_batches_of_the_file(tmp_path, device, n_step: int, pad: int) -> None:
    """Also round the end of the ring, at episodes' beginnings, and after a restart."""
    rng = np.random.default_rng(3)
    paths = [tmp_path / "file", tmp_path / "device"]
    for path in paths:
        path.mkdir()
    file, kept = make(paths[0]), make_on(device, paths[1])
    for steps in (10, 10, 4, 10, 7, 10, 10, 10, 10, 10, 10):
        images = rng.integers(0, 256, (steps + 1, *SHAPE), dtype=np.uint8)
        others = rng.normal(size=(steps, 4))
        for replay in (file, kept):
            replay.add(images, others[:, :2], others[:, 2], others[:, 3])
        for size in (40, 1):
            draws = [(size, n_step, 0.9, np.random.default_rng(steps), pad) for _ in range(2)]
            same_batches(file.sample(*draws[0]), kept.sample(*draws[1]))
    assert any(start + length >= file.n_records for start, length in file.episodes)
    again = make_on(device, paths[1])
    again.restore(kept.head, kept.episodes)
    draws = [(200, n_step, 0.9, np.random.default_rng(0), pad) for _ in range(2)]
    same_batches(file.sample(*draws[0]), again.sample(*draws[1]))


def test_a_batch_is_made_where_the_images_are(tmp_path) -> None:
    """On a device that has shapes but no numbers: nothing of it passes through the processor."""
    replay = make_on("meta", tmp_path)
    replay.add(*episode(10, first=0))
    batch = replay.sample(16, 3, 0.99, np.random.default_rng(0), pad=2)
    for observations in (batch.observations, batch.next_observations):
        assert observations.device.type == "meta"
        assert observations.shape == (16, 9, *SHAPE[1:])


NEEDED = 88 * 90 + ROOM + BESIDE


@pytest.mark.parametrize(
    ("device", "free", "kept"),
    [("cuda", NEEDED, True), ("cuda", NEEDED - 1, False), ("cpu", 2**60, False)],
)
def test_images_are_kept_where_there_is_room(
    tmp_path, monkeypatch, device: str, free: int, kept: bool
) -> None:
    """A GPU with so many bytes free; what is made there is made on a device without numbers."""

    def make_without_numbers(*shape, **how):
        return empty(*shape, **how | {"device": "meta"})

    empty = torch.empty
    monkeypatch.setattr(torch, "empty", make_without_numbers)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 2**60))
    replay = make_replay(tmp_path / "replay.bin", device, **SIZES)
    assert replay.n_records == 88  # of 3 x 6 x 5 bytes
    assert isinstance(replay, DeviceReplay) == kept


def test_a_gpu_that_fills_up_meanwhile_leaves_the_file(tmp_path, monkeypatch) -> None:
    def refuse(*_, **__):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**60, 2**60))
    monkeypatch.setattr(torch, "empty", refuse)
    descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else None
    replay = make_replay(tmp_path / "replay.bin", "cuda", **SIZES)
    assert type(replay) is Replay
    replay.close()
    if descriptors is not None:
        assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize(("free_gb", "runs"), [(80, 4), (23, 1), (10, 1), (800, 16)])
def test_a_gpu_has_as_many_runs_as_it_has_room_for(monkeypatch, free_gb: int, runs: int) -> None:
    """At paper size 555,000 images of 21,168 bytes and 6 GiB for updates make 18.2 GB."""
    monkeypatch.setattr(device_replay, "check_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_gb * 10**9, 10**12))
    monkeypatch.setattr(jobs, "cpu_count", lambda: 16)
    config = paper("walker_walk")
    assert jobs.at_once(config) == 16
    assert [jobs.at_once(replace(config, threads=n)) for n in (3, 16, 20)] == [5, 1, 1]
    assert jobs.at_once(replace(config, device="cuda:1")) == runs
    assert jobs.at_once(replace(config, device="mps")) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("ftruncate", "cannot write the replay {path}: Input/output error"),
        ("pwrite", "cannot write the replay {path}: Input/output error; make room, then go on"),
        ("fsync", "cannot write the replay {path}: Input/output error; make room, then go on"),
        ("preadv", "cannot read the replay {path}: Input/output error"),
    ],
)
def test_what_the_disk_refuses_is_told_with_the_files_name(tmp_path, monkeypatch, call, words):
    def refuse(*_) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def use() -> None:
        replay = make(tmp_path)
        replay.add(*episode(10, first=0))
        replay.sync()
        replay.sample(5, 3, 0.9, np.random.default_rng(0))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(VrlprobeError) as error:
        use()
    assert str(error.value).startswith(words.format(path=tmp_path / "replay.bin"))


def test_a_replay_that_is_cut_off_meanwhile(tmp_path) -> None:
    replay = make(tmp_path)
    replay.add(*episode(10, first=0))
    os.truncate(replay.path, 100)
    with pytest.raises(VrlprobeError, match=r"replay\.bin gave \d+ bytes, needed \d+: it was cut"):
        replay.sample(50, 3, 0.9, np.random.default_rng(0))
