"""A missing path is told with its neighbours."""

from pathlib import Path

from vrlprobe.runs.paths import no_such_file


def test_a_missing_file_is_told_with_its_neighbour(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    for name in ("seed3.h5", "seed3.h55.lock", "seed3.h55.part", "other.txt"):
        (runs / name).touch()
    near = no_such_file(runs / "sed3.h5")
    assert near == f"{runs}/sed3.h5: no such file; did you mean seed3.h5?"
    assert no_such_file(runs / "seed3").endswith("did you mean seed3.h5?")
    assert no_such_file(runs / "zzz") == f"{runs}/zzz: no such file"
    folder = tmp_path / "run"
    begin = f"{folder}/seed3.h5: no such file, as there is no folder {folder}"
    assert no_such_file(folder / "seed3.h5") == f"{begin}; did you mean runs?"
    assert no_such_file(folder / "no" / "a").endswith(f"there is no folder {folder}/no")
