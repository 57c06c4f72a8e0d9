"""The gallery shows every figure that can be drawn."""

import re
from pathlib import Path

from vrlprobe.cli.plot import plot

GALLERY = Path(__file__).parent.parent / "docs" / "gallery.md"


def test_every_figure_has_its_command_in_the_gallery() -> None:
    text = GALLERY.read_text()
    for name in plot.commands:
        assert re.search(rf"^### {name}: ", text, re.MULTILINE)
        assert f"    vrlprobe plot {name} " in text or f"    vrlprobe {name} " in text


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", GALLERY.read_text())
    assert pictures
    assert all((GALLERY.parent / picture).is_file() for picture in pictures)
