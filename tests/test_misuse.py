"""An argument of the wrong kind ends in a line that says which is needed."""

import pytest

import vrlprobe
from vrlprobe import studies
from vrlprobe.errors import FormatError, SampleError


@pytest.mark.parametrize(
    "function",
    [
        vrlprobe.open_run,
        vrlprobe.verify_run,
        vrlprobe.salvage_run,
        vrlprobe.load_samples,
        vrlprobe.load_result,
        lambda run: vrlprobe.import_checkpoints(run, "x.h5", task="walker_walk"),
        lambda run: vrlprobe.import_checkpoints([run], "x.h5", task="walker_walk"),
    ],
)
def test_an_open_run_is_no_path(function, make_run):
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(FormatError, match="a file's path is needed, not Run"),
    ):
        function(run)


def test_an_open_run_is_no_record(make_run, tmp_path):
    with (
        vrlprobe.open_run(make_run("a.h5")) as run,
        pytest.raises(FormatError, match=r"a record is needed .*, not Run"),
    ):
        vrlprobe.write_record(run, tmp_path / "a.json")


def test_a_dataset_is_of_runs_and_frames(make_run):
    with vrlprobe.open_run(make_run("a.h5")) as run:
        for given in (run, [run], "a.h5", [("a.h5", 0)]):
            with pytest.raises(SampleError, match="pairs of an open run and a frame"):
                studies.export_dataset(given, "x-v0")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.h5"):
        vrlprobe.open_run(tmp_path)
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.nc"):
        vrlprobe.load_result(tmp_path)
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.json"):
        vrlprobe.read_records(tmp_path)


def test_a_folder_of_records_is_read_as_such(tmp_path):
    (tmp_path / "a.json").touch()  # whose runs are gone
    with pytest.raises(FormatError, match=rf"a folder, .*: {tmp_path}/\*\.json"):
        vrlprobe.open_run(tmp_path)
