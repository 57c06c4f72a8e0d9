"""Results survive the way to the disk and back, whole, and in the same bytes each time."""

import json
import os
import stat
import time

import numpy as np
import pytest
import xarray as xr

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.results.combine import combine_results
from vrlprobe.results.file import load_result, provenance, save_result
from vrlprobe.runs.atomic import replaced_whole
from vrlprobe.runs.trailer import LENGTH


def test_what_is_read_equals_what_was_written(dataset, tmp_path):
    save_result(dataset, tmp_path / "a.nc")
    xr.testing.assert_identical(load_result(tmp_path / "a.nc"), dataset)


def test_the_same_dataset_gives_the_same_bytes(dataset, tmp_path):
    save_result(dataset, tmp_path / "a.nc")
    time.sleep(1.1)  # HDF5 stores times, where it does, in seconds
    save_result(dataset.copy(deep=True), tmp_path / "other name.nc")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "other name.nc").read_bytes()


def test_a_flipped_bit_or_a_page_of_zeros_is_told(dataset, tmp_path):
    """HDF5 reads some as other numbers, raises on others, and ends never on others."""
    path = tmp_path / "a.nc"
    save_result(dataset, path)
    whole = path.read_bytes()
    pages = [(at, bytes(512)) for at in range(0, len(whole) - LENGTH - 512, 512)]
    flips = [(at, bytes([whole[at] ^ 4])) for at in range(0, len(whole), 97)]
    for at, damage in pages + flips:
        damaged = whole[:at] + damage + whole[at + len(damage) :]
        if damaged != whole and at < len(whole) - LENGTH:
            path.write_bytes(damaged)
            with pytest.raises(IntegrityError, match="is damaged, its bytes are not as written"):
                load_result(path)
    path.write_bytes(whole[:-LENGTH])  # as it was before there were checksums
    assert load_result(path).identical(dataset)


@pytest.mark.parametrize("kind", [RuntimeError, TypeError, AttributeError])
def test_what_a_strangers_file_makes_the_reader_raise_is_one_line(dataset, tmp_path, kind):
    def fail(*_, **__):
        raise kind("Link iteration failed")

    save_result(dataset, tmp_path / "a.nc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xr, "load_dataset", fail)
        with pytest.raises(FormatError, match=r"a\.nc is not a result file: Link iteration"):
            load_result(tmp_path / "a.nc")


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with replaced_whole(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there(dataset, tmp_path):
    with pytest.raises(FormatError, match=r"cannot write .*x\.nc: there is no folder"):
        save_result(dataset, tmp_path / "none" / "x.nc")
    with pytest.raises(FormatError, match="it is a folder"):
        save_result(dataset, tmp_path)


@pytest.mark.parametrize("value", [None, True, {"lr": 1e-4}])
def test_what_netcdf_cannot_hold_is_told(dataset, tmp_path, value):
    with pytest.raises(FormatError, match=r"cannot write .*a\.nc: .* are text or numbers \("):
        save_result(dataset.assign_attrs(mine=value), tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_read_again_is_not_written(dataset, tmp_path):
    with pytest.raises(FormatError, match=r"no result of vrlprobe, or lost its attributes"):
        save_result(dataset.drop_attrs(), tmp_path / "a.nc")
    assert not list(tmp_path.iterdir())


def test_a_device_is_not_replaced(dataset, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="it is a device, choose a file's name"):
        save_result(dataset, tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("given", [{}, [], None, "runs"])
def test_results_are_given_by_name(dataset, given):
    with pytest.raises(FormatError, match="results are given by names of yours"):
        combine_results(given)
    with pytest.raises(FormatError, match=r"results are given by names.*not as Dataset"):
        combine_results(dataset)
    with pytest.raises(FormatError, match="a is a str, a result of a study is needed"):
        combine_results({"a": "a.nc"})


def test_results_of_several_kinds_are_named(dataset):
    probed = dataset.assign_attrs(vrlprobe="probe")
    kinds = {"a": probed, "b": dataset.assign_attrs(vrlprobe="metrics")}
    with pytest.raises(FormatError, match=r"of one kind .* found probe \(a\) and metrics \(b\)"):
        combine_results(kinds)
    kinds["b"] = dataset.assign_attrs(vrlprobe="cohort")
    with pytest.raises(FormatError, match="a result of probe or metrics is needed, not one of coh"):
        combine_results(kinds)
    with pytest.raises(FormatError, match="select it as a list, run="):
        combine_results({"a": probed, "b": probed.isel(run=0)})


def test_files_that_are_no_results(dataset, tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        load_result(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(FormatError, match="not a result file"):
        load_result(tmp_path / "text.nc")
    dataset.drop_attrs().to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    with pytest.raises(FormatError, match="not a result of vrlprobe"):
        load_result(tmp_path / "plain.nc")


def test_provenance_names_versions_and_arguments():
    attributes = provenance("probe", {"b": 1, "a": [1, 2]})
    assert attributes["arguments"] == '{"a": [1, 2], "b": 1}'
    for given in ({9, 100, 20}, frozenset([9, 100, 20]), dict.fromkeys([100, 9, 20]).keys()):
        assert provenance("probe", {"frames": given})["arguments"] == '{"frames": [9, 20, 100]}'
    assert provenance("probe", {"frames": {np.int64(7)}})["arguments"] == '{"frames": [7]}'
    assert {"vrlprobe", "torch", "python"} <= set(json.loads(attributes["versions"]))
