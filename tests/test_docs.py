"""The code in the documents runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parent.parent / "docs"


def code(name: str) -> str:
    """The first block of Python in a document."""
    (block, *_) = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
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
