"""Copies of runs: what is chosen, what is kept, where it came from."""

import full_run
import pytest

from vrlprobe.errors import FormatError, UnknownFrameError
from vrlprobe.runs.reader import open_run
from vrlprobe.runs.salvage import copy_run, salvage_run
from vrlprobe.runs.verify import verify_run


@pytest.fixture
def source(tmp_path):
    """A sealed run of four checkpoints."""
    path = tmp_path / "source.h5"
    with full_run.create(path) as writer:
        for i in range(4):
            full_run.commit(writer, i)
    return path


def test_a_whole_copy_is_equal(source, tmp_path):
    """All contents, config and provenance; the origin is added."""
    copy = tmp_path / "copy.h5"
    assert copy_run(source, copy) == 4
    assert verify_run(copy).problems == ()
    with open_run(source) as old, open_run(copy) as new:
        for i in range(4):
            full_run.check(new, i)
            assert new.digest(full_run.frame(i)) == old.digest(full_run.frame(i))
        assert dict(new.config) == dict(old.config)
        assert new.layout == old.layout
        (step,) = new.provenance["origin"]
        assert {**new.provenance, "origin": None} == {**old.provenance, "origin": None}
    assert step["operation"] == "copy"
    assert (step["file"], step["checkpoints"], step["copied"]) == ("source.h5", 4, 4)


def test_chosen_checkpoints(source, tmp_path):
    """In any order, each once."""
    copy = tmp_path / "copy.h5"
    assert copy_run(source, copy, frames=[3000, 1000, 3000]) == 2
    with open_run(copy) as run:
        assert run.frames.tolist() == [1000, 3000]
        full_run.check(run, 1)
        full_run.check(run, 3)


@pytest.mark.parametrize(
    ("images", "kept"), [("all", [1, 1, 0]), ("first", [1, 0, 0]), ("none", [0, 0, 0])]
)
def test_chosen_images(source, tmp_path, images, kept):
    """States and actions come along always; without the batch the file is smaller."""
    copy = tmp_path / "copy.h5"
    copy_run(source, copy, images=images, batch=False)
    with open_run(copy) as run:
        if images == "all":
            assert [n > 0 for n in run.rollout(1000).n_images] == [True, True]
        assert [n > 0 for n in run.rollout(2000).n_images] == [bool(kept[0]), False, False]
        assert [len(e) for e in run.rollout(2000)] == [110, 75, 40]
        assert run.batch(2000) is None
    assert copy.stat().st_size < source.stat().st_size


def test_a_copy_of_a_copy_knows_both_steps(source, tmp_path):
    """The older one first."""
    copy_run(source, tmp_path / "one.h5")
    copy_run(tmp_path / "one.h5", tmp_path / "two.h5", frames=[0])
    with open_run(tmp_path / "two.h5") as run:
        assert [step["file"] for step in run.provenance["origin"]] == ["source.h5", "one.h5"]


def test_a_refused_copy_leaves_nothing(source, tmp_path):
    """Neither for an unknown frame nor over something else."""
    with pytest.raises(UnknownFrameError):
        copy_run(source, tmp_path / "copy.h5", frames=[0, 5])
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    with pytest.raises(FormatError, match="exists already"):
        copy_run(source, precious)
    assert precious.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["precious", "source.h5"]


def test_a_sealed_run_is_left_alone(source):
    """Byte for byte."""
    before = source.read_bytes()
    assert salvage_run(source) is None
    assert source.read_bytes() == before


def test_salvage_follows_a_link_to_the_file(source, tmp_path):
    """And leaves the link a link, a stale temporary of another salvage no hindrance."""
    killed, link = tmp_path / "killed.h5", tmp_path / "link.h5"
    writer = full_run.create(killed)
    full_run.commit(writer, 0)
    content = killed.read_bytes()
    writer.close()
    killed.write_bytes(content)
    killed.with_name("killed.h5.salvaging").write_bytes(b"half a copy")
    link.symlink_to(killed)
    assert salvage_run(link) == 1
    assert link.is_symlink()
    with open_run(killed) as run:
        assert run.state == "sealed"
        full_run.check(run, 0)
        assert run.provenance["origin"][0]["operation"] == "salvage"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed.h5", "link.h5", "source.h5"]


def test_chosen_parts(source, tmp_path):
    """A copy without critics holds the other networks as they were; a wrong name leaves nothing."""
    copy = tmp_path / "copy.h5"
    copy_run(source, copy, parts=("encoder", "actor"))
    with open_run(source) as old, open_run(copy) as new:
        for frame in old.frames:
            kept = new.parameters(frame)
            assert {name.split("/")[0] for name in kept} == {"encoder", "actor"}
            assert all((old.parameters(frame)[name] == kept[name]).all() for name in kept)
    assert verify_run(copy).problems == ()
    with pytest.raises(FormatError, match="no part 'critics': its parts are actor"):
        copy_run(source, tmp_path / "none.h5", parts=("critics",))
    assert not (tmp_path / "none.h5").exists()
