"""What the Makefile says while it works."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_set_up_says_what_it_does_before_it_begins(tmp_path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"  # makes an environment of itself, and says what it is asked
    python.write_text(
        '#!/bin/sh\necho "python $@" >&2\n'
        'if [ "$2" = venv ]; then mkdir -p .venv/bin && cp "$0" .venv/bin/python; fi\n'
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "-s", ".venv/ready", f"PYTHON={python}"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = done.stderr.splitlines()
    assert "setting up .venv" in told[0]
    assert "minutes" in told[0]
    assert told[1] == "python -m venv .venv"
    assert "pip install" in told[2]
