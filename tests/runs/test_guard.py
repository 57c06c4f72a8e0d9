"""Files that are no runs, or hostile ones, are refused in one line before anything is read."""

import os
import shutil
import subprocess
import sys

import full_run
import h5py
import numpy as np
import pytest

from vrlprobe.errors import FormatError, IntegrityError, UnsafeFileError, VrlprobeError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.salvage import salvage_run
from vrlprobe.runs.verify import verify_run

WEIGHT = "checkpoints/actor/policy.2.weight"
GOOD = {"chunks": True, "fletcher32": True}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A good run."""
    path = tmp_path_factory.mktemp("guard") / "run.h5"
    with full_run.create(path) as writer:
        for i in range(2):
            full_run.commit(writer, i)
    return path


@pytest.fixture
def run_file(original, tmp_path):
    """A copy of it to spoil."""
    return shutil.copy(original, tmp_path / "run.h5")


def _replace(file, path, make):
    del file[path]
    make(file, path)


def _soft_link(file, path):
    file[path] = h5py.SoftLink("/log/fps")


def _external_link(file, path):
    file[path] = h5py.ExternalLink("/etc/passwd", "/")


def _external_storage(file, path):
    file.create_dataset(path, (2, 16, 16), "<f4", external=[("/etc/passwd", 0, 2048)])


def _virtual(file, path):
    layout = h5py.VirtualLayout((2, 16, 16), "<f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "secret", (2, 16, 16))
    file.create_virtual_dataset(path, layout)


def _unknown_filter(file, path):
    space = h5py.h5s.create_simple((2, 16, 16))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 16, 16))
    plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)
    plist.set_fletcher32()
    h5py.h5d.create(file.id, path.encode(), h5py.h5t.IEEE_F32LE, space, plist)


def _scaleoffset(file, path):
    file.create_dataset(path, (2, 16, 16), "<i4", scaleoffset=4, chunks=True)


def _huge(file, path):
    limit = (None, 16, 16)
    file.create_dataset(
        path, (1 << 40, 16, 16), "<f4", chunks=(1, 16, 16), maxshape=limit, fletcher32=True
    )


def _group(file, path):
    file.create_group(path)


def _named_type(file, path):
    file[path] = np.dtype("<f4")


def _references(file, path):
    file.create_dataset(path, (2, 16, 16), h5py.ref_dtype, chunks=(1, 16, 16), fletcher32=True)


def _strings(file, path):
    file.create_dataset(path, (2, 16, 16), "S4", chunks=(1, 16, 16), fletcher32=True)


def _other_shape(file, path):
    file.create_dataset(path, (2, 16, 17), "<f4", chunks=(1, 16, 17), fletcher32=True)


def _other_type(file, path):
    file.create_dataset(path, (2, 16, 16), ">f4", chunks=(1, 16, 16), fletcher32=True)


def _contiguous(file, path):
    file.create_dataset(path, (2, 16, 16), "<f4")


def _no_checksum(file, path):
    file.create_dataset(path, (2, 16, 16), "<f4", chunks=(1, 16, 16))


def _shared_chunks(file, path):
    file.create_dataset(path, (2, 16, 16), "<f4", chunks=(2, 16, 16), fletcher32=True)


def _too_short(file, path):
    file.create_dataset(path, (1, 16, 16), "<f4", chunks=(1, 16, 16), fletcher32=True)


def _scalar(file, path):
    file.create_dataset(path, data=np.float32(1))


def _nothing(file, path):
    pass


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (_soft_link, UnsafeFileError, "link to elsewhere"),
        (_external_link, UnsafeFileError, "link to elsewhere"),
        (_external_storage, UnsafeFileError, "other files"),
        (_virtual, UnsafeFileError, "other files"),
        (_unknown_filter, UnsafeFileError, "filter 32015"),
        (_scaleoffset, UnsafeFileError, "filter 6"),
        (_huge, UnsafeFileError, "claims"),
        (_named_type, UnsafeFileError, "neither group nor dataset"),
        (_references, UnsafeFileError, "type"),
        (_strings, FormatError, "type"),
        (_group, FormatError, "not a dataset"),
        (_other_shape, FormatError, "shape"),
        (_other_type, FormatError, "type >f4"),
        (_contiguous, FormatError, "not chunked"),
        (_scalar, FormatError, "not chunked"),
        (_no_checksum, FormatError, "fletcher32"),
        (_shared_chunks, FormatError, "chunks"),
        (_too_short, IntegrityError, "2 are committed"),
        (_nothing, FormatError, "missing"),
    ],
)
def test_a_spoilt_dataset_is_refused(run_file, make, kind, message):
    """Each in one line that names it; verify says so too, and no command raises."""
    with h5py.File(run_file, "r+") as file:
        _replace(file, WEIGHT, make)
    with pytest.raises(kind, match=message) as caught:
        open_run(run_file)
    assert WEIGHT in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(verify_run(run_file).problems) == 1


@pytest.mark.parametrize(
    ("make", "path"), [(_soft_link, "log"), (_external_link, "checkpoints/actor")]
)
def test_a_linked_group_is_refused(run_file, make, path):
    """Component by component, not at the end of the path alone."""
    with h5py.File(run_file, "r+") as file:
        _replace(file, path, make)
    with pytest.raises(UnsafeFileError, match=f"{path}.* is a link to elsewhere"):
        open_run(run_file)


@pytest.mark.parametrize("make", [_soft_link, _external_link, _external_storage, _group, _virtual])
@pytest.mark.parametrize("path", ["extra", "log/extra", "rollouts/extra"])
def test_anything_more_is_refused(run_file, make, path):
    """A run holds what its layout names, and nothing else."""
    with h5py.File(run_file, "r+") as file:
        make(file, path)
    with pytest.raises(UnsafeFileError, match=path):
        open_run(run_file)


def test_a_group_inside_itself_is_refused(run_file):
    """Hard links may form circles."""
    with h5py.File(run_file, "r+") as file:
        file["log/again"] = file["log"]
    with pytest.raises(UnsafeFileError, match="log/again"):
        open_run(run_file)


def _blob(file, path, content):
    del file[path]
    file.create_dataset(path, data=np.frombuffer(content, np.uint8), **GOOD)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" * ((1 << 20) + 1), "limit"),
        (b"not json", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "malformed"),
        (b'{"parameters": {"actor/w": [-1]}}', "malformed"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_spoilt_json_is_refused(run_file, content, message):
    """Too long, too deep, or something else."""
    with h5py.File(run_file, "r+") as file:
        _blob(file, "run/layout", content)
    with pytest.raises(VrlprobeError, match=message):
        open_run(run_file)


def test_a_layout_that_promises_too_much_is_refused(run_file):
    """Terabytes of images in a small file: nothing is allocated for them."""
    with h5py.File(run_file, "r+") as file:
        layout = file["run/layout"][:].tobytes()
        _blob(
            file,
            "run/layout",
            layout.replace(b'"image_shape": [3, 12, 12]', b'"image_shape": [3, 9000000, 9000]'),
        )
        for name in ("rollouts/images", "batch/observations"):
            shape = (2, 3, 111) if name == "rollouts/images" else (2, 20)
            tail = (3 if name == "rollouts/images" else 9, 9_000_000, 9000)
            del file[name]
            chunks = (1,) * (len(shape) + 1) + (1000, 1000)
            file.create_dataset(name, shape + tail, "u1", chunks=chunks, fletcher32=True)
    with pytest.raises(UnsafeFileError, match="claims"):
        open_run(run_file)


def test_a_committed_count_beyond_the_data_is_refused(run_file):
    """And a negative one."""
    for value in (3, 1 << 62, -1):
        with h5py.File(run_file, "r+") as file:
            file["run/committed"][0] = value
        with pytest.raises(IntegrityError, match="committed"):
            open_run(run_file)


def test_an_absent_chunk_is_no_silent_zero(original, tmp_path):
    """HDF5 would fill it in."""
    path = shutil.copy(original, tmp_path / "run.h5")
    with h5py.File(path, "r+") as file:
        dataset = file["log/fps"]
        dataset.resize(1, axis=0)
        dataset.resize(2, axis=0)
    with open_run(path) as run, pytest.raises(IntegrityError, match=r"log/fps.*no data"):
        _ = run.log
    assert any("log/fps" in problem for problem in verify_run(path).problems)


def test_a_length_beyond_what_is_stored_is_refused(run_file):
    """Neither allocated nor filled in."""
    with h5py.File(run_file, "r+") as file:
        file["rollouts/length"][0, 0] = 2_000_000_000
    with open_run(run_file) as run, pytest.raises(IntegrityError, match="make no sense"):
        run.rollout(0)


def _other(path, kind):
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "garbage":
        path.write_bytes(os.urandom(5000))
    elif kind == "only a signature":
        path.write_bytes(b"\x89HDF\r\n\x1a\n")
    elif kind == "signature and garbage":
        path.write_bytes(b"\x89HDF\r\n\x1a\n\x03\x08\x08\x00" + b"garbage" * 100)
    elif kind == "signature and garbage, unsealed":
        path.write_bytes(b"\x89HDF\r\n\x1a\n\x03\x08\x08\x05" + b"garbage" * 100)
    elif kind == "folder":
        path.mkdir()
    elif kind == "other HDF5":
        h5py.File(path, "w", libver="latest").close()
    elif kind == "old HDF5":
        h5py.File(path, "w").close()
    elif kind == "pipe":
        os.mkfifo(path)


KINDS = ["missing", "empty", "garbage", "only a signature", "signature and garbage"]
KINDS += ["signature and garbage, unsealed", "folder", "other HDF5", "old HDF5", "pipe"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_run_is_refused_in_one_line(tmp_path, kind):
    """By open, verify and salvage; and the line names the file."""
    path = tmp_path / "thing"
    _other(path, kind)
    for action in (open_run, salvage_run):
        with pytest.raises((FormatError, IntegrityError), match="thing") as caught:
            action(path)
        assert "\n" not in str(caught.value)
    assert len(verify_run(path).problems) == 1


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("unsealed", [False, True])
def test_a_file_cut_off_is_noticed(run_file, kept, unsealed):
    """Where the rest is missing, verify says so."""
    size = os.path.getsize(run_file)
    with open(run_file, "r+b") as file:
        file.truncate(int(size * kept))
        if unsealed:
            file.seek(11)
            file.write(b"\x05")
    assert verify_run(run_file).problems


def test_the_kind_of_a_damaged_file_is_looked_at_and_left(run_file):
    """HDF5 would wait for ever for the first object's header to become whole."""
    with open(run_file, "r+b") as file:
        file.seek(64)
        file.write(b"\xff")
    code = "import sys; from vrlprobe.runs.guard import format_name as f; print([f(sys.argv[1])])"
    command = [sys.executable, "-c", code, run_file]
    assert subprocess.run(command, capture_output=True, timeout=60).stdout == b"['']\n"
