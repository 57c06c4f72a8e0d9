"""One whole training that the tests of trainers compare theirs with."""

from pathlib import Path

import pytest

from tests.vrltrain.tiny import TINY
from vrltrain.run import begin
from vrltrain.train import quiet


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("unbroken") / "run.h5"
    begin(TINY, path, quiet, quiet)
    return path
