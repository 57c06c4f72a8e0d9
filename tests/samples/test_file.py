"""Sample sets on disk: they come back equal, and a damaged or foreign file is refused."""

import h5py
import numpy as np
import pytest

from vrlprobe.errors import FormatError, IntegrityError, UnsafeFileError, VrlprobeError
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.file import is_sample_file, load_samples, save_samples
from vrlprobe.samples.make import make_samples


@pytest.fixture
def samples(make_run):
    with open_run(make_run("seed1.h5", seed=1)) as run:
        return make_samples([run], 60)


@pytest.fixture
def stored(samples, tmp_path):
    save_samples(samples, tmp_path / "set.h5")
    return tmp_path / "set.h5"


def test_a_set_comes_back_equal(samples, stored):
    again = load_samples(stored)
    assert again.digest == samples.digest
    assert again.sources == samples.sources
    assert again.components == samples.components
    assert again.aliases == samples.aliases
    for name, array in samples.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_the_same_set_gives_the_same_bytes(samples, stored, tmp_path):
    save_samples(samples, tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == stored.read_bytes()


def test_sets_and_runs_are_told_apart(stored, make_run, tmp_path):
    assert is_sample_file(stored)
    assert not is_sample_file(make_run("run.h5"))
    with pytest.raises(FormatError, match="not a sample set"):
        load_samples(make_run("run2.h5"))
    (tmp_path / "text.h5").write_text("hello, this is no HDF5 file")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        load_samples(tmp_path / "text.h5")
    with pytest.raises(FormatError, match="no such file"):
        load_samples(tmp_path / "none.h5")


@pytest.mark.parametrize("where", range(40))
def test_a_flipped_bit_is_found_or_changes_nothing(samples, stored, where):
    data = bytearray(stored.read_bytes())
    place = int(np.random.default_rng(where).integers(48, len(data)))
    data[place] ^= 1 << where % 8
    stored.write_bytes(bytes(data))
    try:
        again = load_samples(stored)
    except VrlprobeError:
        return
    assert again.digest == samples.digest
    assert again.sources == samples.sources


def change(path, name, replace):
    """Put another dataset in the place of one."""
    with h5py.File(path, "r+") as file:
        old = file[name][...]
        del file[name]
        replace(file, name, old)


def test_content_that_was_changed_with_its_checksums(stored):
    def other_states(file, name, old):
        file.create_dataset(name, data=old + 1, chunks=old.shape, fletcher32=True)

    change(stored, "states", other_states)
    with pytest.raises(IntegrityError, match="does not match its digest"):
        load_samples(stored)


def test_arrays_that_do_not_fit_together(stored):
    def too_large(file, name, old):
        file.create_dataset(name, data=old + 10**6, chunks=old.shape, fletcher32=True)

    change(stored, "index", too_large)
    with pytest.raises(FormatError, match="do not fit together"):
        load_samples(stored)


def test_links_and_bombs_are_refused(stored):
    def bomb(file, name, old):
        shape = (10**9, *old.shape[1:])
        file.create_dataset(name, shape, old.dtype, chunks=(1, *old.shape[1:]), fletcher32=True)

    change(stored, "images", bomb)
    with pytest.raises(UnsafeFileError, match="more than the file can hold"):
        load_samples(stored)
    with h5py.File(stored, "r+") as file:
        del file["images"]
        file["images"] = h5py.ExternalLink("elsewhere.h5", "/images")
    with pytest.raises(UnsafeFileError, match="link to elsewhere"):
        load_samples(stored)


def test_a_later_version_is_not_guessed_at(stored):
    with h5py.File(stored, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(FormatError, match="version 2, this reads version 1"):
        load_samples(stored)
