"""What a command sets for its process: torch's threads, whenever torch comes."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("first", [True, False])
def test_torch_has_one_thread(first: bool) -> None:
    """Imported before the command or by it; the environment is as it was afterwards."""
    load = "import torch"
    code = f"""
import os
{load if first else ""}
from vrlprobe.cli.common import Session
with Session():
    {load}
    print(torch.get_num_threads(), end=" ")
print(os.environ["OMP_NUM_THREADS"])
"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["1", "2"]
