"""The API reference has every public name; the strict build checks links and contents."""

import re
from importlib import import_module
from pathlib import Path

import vrlprobe

PAGES = (Path(__file__).parent.parent / "docs" / "api").glob("*.md")
TEXT = "\n".join(page.read_text() for page in PAGES)
MODULES = set(re.findall(r"automodule:: (vrlprobe\.[.\w]+)\n   :members:", TEXT))
NAMES = set(re.findall(r"auto(?:function|class):: (vrlprobe\.[.\w]+)$", TEXT, re.MULTILINE))


def test_every_public_name_has_its_place_in_the_reference() -> None:
    missing = [
        name
        for name in vrlprobe.__all__
        if f"vrlprobe.{name}" not in NAMES | MODULES
        and getattr(getattr(vrlprobe, name), "__module__", None) not in MODULES
    ]
    assert not missing


def test_what_the_reference_names_is_there() -> None:
    assert len(NAMES) > 20
    for path in NAMES:
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name), path
