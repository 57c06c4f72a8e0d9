"""What the key of a part depends on beside its input: the code that makes it."""

import shutil
from pathlib import Path

import pytest

from vrlprobe.analyses.shared import cache
from vrlprobe.analyses.shared.jobs import COMPUTED_BY


def test_the_digest_of_sources_is_of_each_named_module_and_of_no_other(tmp_path, monkeypatch):
    package = Path(cache.__file__).parents[2]
    copy = tmp_path / "vrlprobe"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "__file__", str(copy / "analyses/shared/cache.py"))
    first = cache.sources_digest(COMPUTED_BY)
    named = ("analyses/shared/fits.py", "agents/activations.py", "samples/sample_set.py")
    for name in ("probes/omp.py", *named):
        (copy / name).write_text((copy / name).read_text() + "\n")
        assert cache.sources_digest(COMPUTED_BY) != first, name
        shutil.copy(package / name, copy / name)
        assert cache.sources_digest(COMPUTED_BY) == first
    (copy / "figures" / "style.py").write_text("")
    assert cache.sources_digest(COMPUTED_BY) == first
    (copy / "probes" / "omp.py").rename(copy / "probes" / "pursuit.py")
    assert cache.sources_digest(COMPUTED_BY) != first


@pytest.mark.parametrize("gone", ["probes/pursuit", "samples/"])
def test_a_name_of_no_module_is_an_error(gone):
    with pytest.raises(FileNotFoundError, match=f"no module '{gone}'"):
        cache.sources_digest([*COMPUTED_BY, gone])
