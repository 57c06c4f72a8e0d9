"""Outputs that replace no run, record or sample set."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vrlprobe.errors import FormatError
from vrlprobe.runs import guard
from vrlprobe.runs.atomic import replaced_whole
from vrlprobe.runs.paths import as_path, check_folder, refuse_special
from vrlprobe.runs.record import is_record
from vrlprobe.runs.schema import FORMAT, SAMPLES

RECORD = "vrlprobe-record"
"""Stands for the format of a record, which is JSON and states none."""

KEPT = {FORMAT: "a run", SAMPLES: "a sample set", RECORD: "the record of a run"}
"""Files that no result takes the place of, by their `format`."""


@contextmanager
def written_at_once(path: str | Path, but: str = "") -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it when the block ends without an error.

    Runs, records and sample sets are not replaced, save those whose format is ``but``.

    Nothing is left behind after an error, and a reader sees the old file or the whole new one.
    """
    path = as_path(path)
    check_folder(path)
    refuse_to_replace(path, but)
    with replaced_whole(path) as temporary:
        yield temporary


def refuse_to_replace(path: Path, but: str = "") -> None:
    """Raise FormatError where an output would take the place of something that is not its like.

    Args:
        path: of the output.
        but: of `KEPT`, what it may replace.
    """
    refuse_special(path)
    kind = RECORD if is_record(path) else guard.format_name(path) if path.is_file() else ""
    if kind in KEPT and kind != but:
        raise FormatError(f"cannot write {path}: it is {KEPT[kind]}, choose another name")
