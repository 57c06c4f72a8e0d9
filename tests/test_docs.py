"""The pages: their code runs as it stands, and what they point to is there."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("fixtures/*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    # a file that git leaves out is not there in a clean checkout
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link


def code(name: str) -> str:
    """The first block of Python in a document."""
    text = (ROOT / "docs" / name).read_text()
    (block, *_) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return block


@pytest.mark.filterwarnings("ignore:no sample set")
def test_your_own_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = code("own-network.md")
    names: dict = {"__name__": "__main__"}
    exec(compile(block, "own-network.md", "exec"), names)
    result = names["result"]
    assert result["layer"].values.tolist() == ["pixels", "conv1", "conv2", "hidden"]
    assert np.isfinite(result["test_mse"]).all()
    assert "velocity[1]" in capsys.readouterr().out
