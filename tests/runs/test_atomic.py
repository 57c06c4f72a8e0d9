"""Files appear whole, and what kills left of them goes."""

import subprocess
import sys

import pytest

from vrlprobe.errors import FormatError
from vrlprobe.runs.atomic import made_new, remove_parts
from vrlprobe.runs.reader import open_run

MAKES = """
import os, sys
from pathlib import Path
import numpy as np
from vrlprobe.runs.atomic import made_new
from vrlprobe.runs.writer import RunWriter

values = {"actor/a": np.ones(3, np.float32)}
with made_new(Path(sys.argv[1])) as part:
    with RunWriter.create(part, config={}, parameters=values) as writer:
        writer.commit(0, values)
        print("at work", flush=True)
        sys.stdin.readline()
    print("closed", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def maker(tmp_path):
    """A process that makes `new.h5`, up to the first line that it says."""
    command = [sys.executable, "-c", MAKES, str(tmp_path / "new.h5")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def test_what_a_killed_process_made_goes_with_the_next(tmp_path, maker):
    """The part and its lock, too; not what other files were to replace."""
    path = tmp_path / "new.h5"
    maker.kill()
    maker.wait()
    assert len(list(tmp_path.glob(".new.h5.*"))) == 2
    other = tmp_path / ".new.h5.h5.0a1b2c3d.part"
    other.touch()
    with made_new(path) as part:
        assert list(tmp_path.glob(".new.h5.*")) == [other]
        part.write_text("whole")
    assert sorted(tmp_path.iterdir()) == [other, path]


def test_a_file_that_is_being_made_is_left_to_its_maker(tmp_path, maker):
    path = tmp_path / "new.h5"
    remove_parts(path)
    for said in ("closed\n", ""):
        with (
            pytest.raises(FormatError, match=r"new\.h5: another process is writing"),
            made_new(path),
        ):
            pass
        maker.stdin.write("\n")
        maker.stdin.flush()
        assert maker.stdout.readline() == said
    assert maker.wait() == 0
    with open_run(path) as run:
        assert run.frames.tolist() == [0]
    with pytest.raises(FormatError, match="exists: choose another name"), made_new(path):
        pass
    assert list(tmp_path.iterdir()) == [path]
