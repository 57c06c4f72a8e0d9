"""Damaged bytes are found: none is read as data."""

import contextlib
import random
import shutil

import full_run
import h5py
import numpy as np
import pytest

from vrlprobe.errors import IntegrityError, VrlprobeError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.verify import verify_run

COMMITS = 2


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A good run, and the same as a writer killed just before the end left it."""
    path = tmp_path_factory.mktemp("verify") / "run.h5"
    with full_run.create(path) as writer:
        for i in range(COMMITS):
            full_run.commit(writer, i)
        killed = shutil.copy(path, path.with_name("killed.h5"))
    return {"sealed": path, "killed": killed}


@pytest.fixture
def original(both):
    """The good run."""
    return both["sealed"]


def _stored_chunks(path):
    """(dataset, offset, size) of every stored chunk, by plain h5py."""
    found = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            for i in range(item.id.get_num_chunks()):
                info = item.id.get_chunk_info(i)
                found.append((name, info.byte_offset, info.size))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def _flip(path, bit):
    with open(path, "r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def test_a_good_run_verifies(original):
    """And the report counts what plain h5py counts."""
    report = verify_run(original)
    growing = [name for name, *_ in _stored_chunks(original)]
    fixed = {"run/config", "run/provenance", "run/layout", "run/committed", "log/layer"}
    assert report.problems == ()
    assert (report.state, report.checkpoints) == ("sealed", COMMITS)
    assert report.chunks == sum(name not in fixed for name in growing)
    assert report.size == original.stat().st_size


def test_a_flipped_bit_in_data_is_found(original, tmp_path, flips):
    """In a random chunk of every dataset in turn; verify names that dataset."""
    path = tmp_path / "run.h5"
    chunks = _stored_chunks(original)
    names = sorted({name for name, *_ in chunks})
    generator = random.Random(1)
    for i in range(flips):
        name = names[i % len(names)]
        _, offset, size = generator.choice([c for c in chunks if c[0] == name])
        shutil.copy(original, path)
        _flip(path, 8 * offset + generator.randrange(8 * size))
        problems = verify_run(path).problems
        assert any(name in problem for problem in problems), (name, problems)


@pytest.mark.parametrize("state", ["sealed", "killed"])
def test_a_flipped_bit_anywhere_is_found_or_harmless(both, state, tmp_path, flips):
    """Silent damage: verify is content, and something reads otherwise than written.

    In a killed run HDF5 would wait for ever for damaged metadata to become whole.
    """
    path = tmp_path / "run.h5"
    generator = random.Random(2)
    found = 0
    for _ in range(flips):
        shutil.copy(both[state], path)
        _flip(path, generator.randrange(8 * path.stat().st_size))
        if verify_run(path).problems:
            found += 1
            continue
        with open_run(path) as run:
            for i in range(COMMITS):
                full_run.check(run, i)
    print(f"{flips} flips in a {state} run: {found} found, the others harmless, none silent")


@pytest.mark.parametrize("name", ["log/fps", "rollouts/states", "rollouts/n_images", "log/frame"])
def test_a_zeroed_chunk_is_found(original, tmp_path, name):
    """Fletcher32 of zeros is zero; compression makes them invalid, digests cover the weights."""
    path = shutil.copy(original, tmp_path / "run.h5")
    _, offset, size = next(chunk for chunk in _stored_chunks(original) if chunk[0] == name)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(bytes(size))
    assert any(name in problem for problem in verify_run(path).problems)


def test_a_zeroed_weight_is_found_when_read(original, tmp_path):
    """By the digest, not only by verify."""
    path = shutil.copy(original, tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["checkpoints/actor/policy.2.weight"][1] = 0
    with open_run(path) as run:
        run.parameters(0)
        with pytest.raises(IntegrityError, match="frame 1000 is not as written"):
            run.parameters(1000)
    assert len(verify_run(path).problems) == 1


@pytest.mark.parametrize("byte", [0, 255])
def test_a_digest_of_one_byte_throughout_is_none(original, tmp_path, byte):
    """Its fletcher32 is good, and it is not compressed."""
    path = shutil.copy(original, tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["run/digest"][1] = byte
    with open_run(path) as run, pytest.raises(IntegrityError, match="digest of frame 1000 is not"):
        run.digest(1000)


def test_a_zeroed_count_of_checkpoints_is_found(original, tmp_path):
    """The rows say that there were some."""
    path = shutil.copy(original, tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["run/committed"][0] = 0
    assert any("more than are committed" in problem for problem in verify_run(path).problems)


def test_labels_torn_off_the_log_are_found(original, tmp_path):
    """They are what plain netCDF readers go by."""
    path = shutil.copy(original, tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["log/grad_norm"].dims[1].detach_scale(file["log/layer"])
    assert [p for p in verify_run(path).problems if "axis 1 of 'log/grad_norm'" in p]


def test_labels_that_differ_are_found(original, tmp_path):
    """The layout's and the netCDF ones."""
    path = shutil.copy(original, tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        file["log/layer"][0] = b"mlp9"
    assert ["differs from the layout's" in p for p in verify_run(path).problems] == [True]


def test_a_read_is_tried_twice(original, monkeypatch):
    """A chunk met half written is whole a moment later; a damaged one is an error."""
    real, failures = h5py.Dataset.__getitem__, iter([True, False, True, True])

    def flaky(dataset, region):
        if dataset.name == "/log/fps" and next(failures):
            raise OSError("Can't synchronously read data (data error detected by Fletcher32)")
        return real(dataset, region)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", flaky)
    with open_run(original) as run:
        full_run.check_log(run, 0)
        with pytest.raises(IntegrityError, match=r"log/fps.*Fletcher32"):
            _ = run.log


def test_verify_never_raises(tmp_path):
    """Whatever the bytes after a good start."""
    path = tmp_path / "run.h5"
    generator = np.random.default_rng(0)
    start = b"\x89HDF\r\n\x1a\n\x03\x08\x08"
    for flag in (b"\x00", b"\x05"):
        path.write_bytes(start + flag + generator.bytes(3000))
        assert verify_run(path).problems
    with contextlib.suppress(VrlprobeError):
        open_run(path)
