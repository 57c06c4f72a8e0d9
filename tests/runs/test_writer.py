"""What a writer stores, refuses, and leaves behind when it fails; checked with plain h5py."""

import subprocess
import sys
from pathlib import Path

import full_run
import h5py
import numpy as np
import pytest
import torch
import xarray as xr

from vrlprobe.errors import FormatError, IntegrityError
from vrlprobe.runs import build
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.salvage import salvage_run
from vrlprobe.runs.writer import RunWriter

TINY = {"w": np.zeros((2, 3), np.float32)}


@pytest.fixture
def path(tmp_path):
    """Where a run goes."""
    return tmp_path / "run.h5"


@pytest.fixture
def sealed(path):
    """A sealed run of four checkpoints."""
    with full_run.create(path) as writer:
        for i in range(4):
            full_run.commit(writer, i)
    return path


def test_plain_h5py_finds_what_was_given(sealed):
    """Independent of the reader: names, shapes, values, padding, absent images."""
    with h5py.File(sealed, "r") as file:
        assert file.attrs["format"] == b"vrlprobe-run"
        assert file.attrs["format_version"] == 1
        assert file["run/committed"][:].tolist() == [4]
        assert file["log/frame"][:].tolist() == [0, 1000, 2000, 3000]
        for i in range(4):
            for name, array in full_run.parameters(i).items():
                np.testing.assert_array_equal(file[f"checkpoints/{name}"][i], array)
            for e, episode in enumerate(full_run.episodes(i)):
                n = len(episode)
                assert file["rollouts/length"][i, e] == n
                np.testing.assert_array_equal(file["rollouts/actions"][i, e, :n], episode.actions)
                np.testing.assert_array_equal(
                    file["rollouts/states"][i, e, : n + 1], episode.states
                )
                assert not file["rollouts/actions"][i, e, n:].any()
            assert file["log/fps"][i] == full_run.log(i)["fps"]


def test_every_dataset_is_checksummed_chunked_by_commit_and_of_fixed_length(sealed):
    """The promises about storage, read from the file itself."""
    seen = []

    def check(name, item):
        if isinstance(item, h5py.Dataset):
            seen.append(name)
            assert item.fletcher32, name
            assert h5py.check_string_dtype(item.dtype) is None or item.dtype.kind == "S", name
            if item.maxshape[0] is None:
                assert item.chunks[0] == 1, name

    with h5py.File(sealed, "r") as file:
        file.visititems(check)
        assert file["rollouts/images"].id.get_num_chunks() < 4 * 3 * 3
    assert {"run/committed", "run/layout", "log/layer", "rollouts/images"} <= set(seen)


def test_plain_xarray_opens_the_log_of_a_sealed_run(sealed):
    """With labels, NaN and no warning."""
    with xr.open_dataset(sealed, group="log", engine="h5netcdf") as plain, open_run(sealed) as run:
        xr.testing.assert_equal(plain.load(), run.log)
        assert plain["grad_norm"].sel(frame=3000, layer="mlp2") == 6
        assert plain["dead"].isnull().all()


def test_a_sealed_run_opens_in_every_plain_mode(sealed):
    """Also for writing: nothing of SWMR is left."""
    with h5py.File(sealed, "r+") as file:
        assert "run" in file


def test_torch_tensors_scalars_and_nan_are_stored(path):
    """NaN as it is; log entries left out are NaN."""
    weight = torch.nn.Parameter(torch.tensor([[1.0, float("nan")]]))
    with RunWriter.create(
        path, config={}, parameters={"actor/w": weight}, log={"a": (), "b": ()}
    ) as w:
        w.commit(np.int64(5), {"actor/w": weight}, log={"a": torch.tensor(2.5)})
    with open_run(path) as run:
        np.testing.assert_array_equal(run.parameters(5)["actor/w"], [[1, np.nan]])
        assert run.log["a"].values.tolist() == [2.5]
        assert np.isnan(run.log["b"].values).all()
        assert len(run.rollout(5)) == 0
        assert run.batch(5) is None


def _bad_episode(**changes):
    good = full_run.episodes(0)[0]
    fields = ("images", "actions", "rewards", "states", "physics")
    return Episode(**{**{name: getattr(good, name) for name in fields}, **changes})


BAD = {
    "does not come after": {"frame": 0},
    "whole number": {"frame": 4000.5},
    "is missing": {"parameters": {}},
    "is not in the run": {"parameters": {**full_run.parameters(0), "actor/new": np.zeros(1)}},
    "has shape": {"parameters": {**full_run.parameters(0), "actor/policy.4.bias": np.zeros(3)}},
    "is float64": {"parameters": {**full_run.parameters(0), "actor/policy.4.bias": np.zeros(2)}},
    "at most 3": {"episodes": full_run.episodes(2) * 2},
    "actions has shape": {"episodes": [_bad_episode(actions=np.zeros((110, 3), np.float32))]},
    "images has shape": {"episodes": [_bad_episode(images=np.zeros((110, 3, 12, 12), np.uint8))]},
    "states is float32": {"episodes": [_bad_episode(states=np.zeros((111, 5), np.float32))]},
    "0 steps": {"episodes": [_bad_episode(actions=np.zeros((0, 2), np.float32))]},
    "was not declared": {"log": {"new": 1.0}},
    "log entry 'grad_norm' has shape": {"log": {"grad_norm": 1.0}},
    "is not a number": {"log": {"fps": "fast"}},
    "a batch of 21": {"batch": (np.zeros((21, 9, 12, 12), np.uint8), np.zeros((21, 2)))},
    "noise is float64": {"batch": (np.zeros((2, 9, 12, 12), np.uint8), np.zeros((2, 2)))},
}


@pytest.mark.parametrize("message", BAD)
def test_a_refused_commit_leaves_nothing(path, message):
    """Not one byte; and the writer goes on."""
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        before = path.read_bytes()
        given = {"frame": 1000, "parameters": full_run.parameters(0), **BAD[message]}
        with pytest.raises(FormatError, match=message):
            writer.commit(**given)
        assert path.read_bytes() == before
        full_run.commit(writer, 1)
    with open_run(path) as run:
        full_run.check(run, 1)


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("no part", {"parameters": TINY}),
        ("at least one", {"parameters": {}}),
        ("cannot name", {"parameters": {"actor/../x": np.zeros(2)}}),
        ("no coords", {"log": {"grad_norm": ("nowhere",)}}),
        ("used twice", {"log": {"frame": ()}}),
        ("not all different", {"components": ["a", "a"]}),
        ("whole numbers", {"n_actions": -1}),
        ("JSON", {"config": {"x": float("nan")}}),
        ("limit", {"config": {"x": "y" * (1 << 20)}}),
    ],
)
def test_a_refused_creation_leaves_nothing(tmp_path, path, message, changes):
    """No file, no lock."""
    with pytest.raises(FormatError, match=message):
        full_run.create(path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_path_is_never_touched(path):
    """Whatever it is."""
    path.write_bytes(b"precious")
    with pytest.raises(FormatError, match="exists already"):
        full_run.create(path)
    assert path.read_bytes() == b"precious"


def test_a_file_that_came_meanwhile_is_left_alone(path, monkeypatch):
    """Between the look at the path and the first byte, by a process without the lock."""
    path.write_text("of another")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lambda _: False)
        with pytest.raises(FormatError, match="exists already, and is left alone"):
            full_run.create(path)
    assert path.read_text() == "of another"
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_folder_is_one_line(tmp_path):
    """And not HDF5's ten."""
    with pytest.raises(FormatError, match="there is no folder"):
        full_run.create(tmp_path / "missing" / "run.h5")


def test_one_writer_at_a_time(path):
    """Neither append nor create while a writer lives; the sidecar goes with it."""
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        with pytest.raises(FormatError, match="growing"):
            RunWriter.append(path)
    assert not path.with_name("run.h5.lock").exists()


def test_append_continues_a_sealed_run(sealed):
    """Old rows untouched, frames still ascending."""
    with RunWriter.append(sealed) as writer:
        assert (len(writer), writer.last_frame) == (4, 3000)
        with pytest.raises(FormatError, match="does not come after"):
            full_run.commit(writer, 3)
        full_run.commit(writer, 4)
    with open_run(sealed) as run:
        for i in range(5):
            full_run.check(run, i)


def test_append_waits_for_someone_who_looks_at_the_run(sealed):
    """HDF5 locks a file that is open for reading; a look lasts an instant."""
    look = (
        "import sys, time, h5py; f = h5py.File(sys.argv[1], 'r'); print(flush=True); time.sleep(1)"
    )
    with subprocess.Popen([sys.executable, "-c", look, sealed], stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        with RunWriter.append(sealed) as writer:
            full_run.commit(writer, 4)
        assert reader.wait() == 0
    with open_run(sealed) as run:
        assert len(run.frames) == 5


def test_append_refuses_a_killed_run(sealed, tmp_path):
    """It says what to do."""
    copy = tmp_path / "copy.h5"
    with RunWriter.append(sealed):
        copy.write_bytes(sealed.read_bytes())
    with pytest.raises(FormatError, match="salvage it first"):
        RunWriter.append(copy)


def test_an_exception_in_the_block_seals_what_was_committed(path):
    """The error itself comes through."""
    writer = full_run.create(path)

    def train():
        with writer:
            full_run.commit(writer, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    with open_run(path) as run:
        assert (run.state, len(run.frames)) == ("sealed", 1)
    with pytest.raises(FormatError, match="closed"):
        full_run.commit(writer, 1)


FULL_DISK = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
import full_run
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs import build
from vrlprobe.runs.reader import open_run
abandon = build.abandon
def lifted(*arguments):  # a full disk, unlike this limit, does not hold for scratch files
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    abandon(*arguments)
build.abandon = lifted
path, room = sys.argv[2], int(sys.argv[3])
writer = full_run.create(path)
full_run.commit(writer, 0)
size = __import__("os").path.getsize(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, -1))
for i in (1, 2):
    try:
        full_run.commit(writer, i)
    except VrlprobeError as error:
        print(type(error).__name__, error)
writer.close()
with open_run(path) as run:
    print(run.state, len(run.frames))
"""


@pytest.mark.parametrize("room", [0, 9000, 60000])
def test_a_full_disk_leaves_a_killed_run_and_a_whole_process(path, room):
    """The commit fails in one line, later ones too, the file is as it was, the exit is clean."""
    folder = full_run.__file__.rpartition("/")[0]
    command = [sys.executable, "-c", FULL_DISK, folder, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    failed, refused, state = done.stdout.splitlines()
    assert failed.startswith("IntegrityError")
    assert "File too large" in failed
    assert "1 before it are safe" in failed
    assert "the writer is closed" in refused
    assert state == "killed 1"
    assert done.stderr == ""
    assert salvage_run(path) == 1
    with RunWriter.append(path) as writer:
        full_run.commit(writer, 1)
    with open_run(path) as run:
        full_run.check(run, 1)


def test_an_interrupt_inside_a_commit_leaves_a_killed_run(path, monkeypatch):
    """Ctrl-C at the worst moment: the error comes through, the commit does not count."""
    writer = full_run.create(path)
    full_run.commit(writer, 0)
    calls = iter(range(2))
    real = writer._sync

    def interrupted():
        if next(calls) == 0:
            raise KeyboardInterrupt
        real()

    monkeypatch.setattr(writer, "_sync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        full_run.commit(writer, 1)
    with open_run(path) as run:
        assert (run.state, len(run.frames)) == ("killed", 1)
        full_run.check(run, 0)


def test_a_file_that_does_not_verify_when_closed_is_an_error(path):
    """Bytes that the disk changed meanwhile are found at the end."""
    writer = full_run.create(path)
    full_run.commit(writer, 0)
    info = writer._datasets["checkpoints/actor/policy.2.weight"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(info.byte_offset)
        file.write(b"damaged")
    with pytest.raises(IntegrityError, match=r"policy\.2\.weight"):
        writer.close()


def test_versions_are_readable_by_older_hdf5():
    """HDF5 2.0's newest format cannot be read by 1.14."""
    assert build.VERSIONS == ("v110", "v110")


def test_a_run_is_sealed_whatever_the_folder_is_then(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = full_run.create(Path("run.h5"))
    full_run.commit(writer, 0)
    monkeypatch.chdir("/")
    writer.close()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["run.h5"]
    with open_run(tmp_path / "run.h5") as run:
        assert run.state == "sealed"


def test_nothing_is_added_to_a_file_that_has_lost_its_name(tmp_path):
    path, moved = tmp_path / "run.h5", tmp_path / "moved.h5"
    with full_run.create(path) as writer:
        full_run.commit(writer, 0)
        path.rename(moved)
        for put in (path.touch, lambda: moved.rename(path)):
            with pytest.raises(IntegrityError, match="after 1 checkpoints: nothing is added"):
                full_run.commit(writer, 1)
            put()
        full_run.commit(writer, 1)


def test_a_run_knows_what_made_each_stretch_of_it(path):
    with full_run.create(path) as writer:
        for i in range(7):
            full_run.commit(writer, i)
    with open_run(path) as run:
        assert run.stretches == [
            {"frame": 0, "processor": "model 0"},
            {"frame": 2000, "processor": "model 1"},
            {"frame": 5000, "processor": "model 0"},
            {"frame": 6000, "processor": "model 1"},
        ]


@pytest.mark.parametrize(
    ("room", "stretch", "message"),
    [(64, {"a": "x" * 64}, "the stretch takes 73 bytes as JSON; the run holds 64"),
     (0, {"a": 1}, "without stretch_bytes"),
     (64, {"a": float("nan")}, "the stretch cannot be stored as JSON")],
)  # fmt: skip
def test_a_stretch_that_does_not_fit(path, room, stretch, message):
    with RunWriter.create(
        path, config={}, parameters={"actor/w": TINY["w"]}, stretch_bytes=room
    ) as writer:
        with pytest.raises(FormatError, match=message):
            writer.commit(0, {"actor/w": TINY["w"]}, stretch=stretch)
        assert len(writer) == 0
