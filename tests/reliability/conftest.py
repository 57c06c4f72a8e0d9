"""What the promises of docs/reliability.md are tested with."""

from collections.abc import Iterator

import pytest

from tests.reliability.programs import COMPILER, Programs, build_faults


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """Commands in processes of their own."""
    folder = tmp_path_factory.mktemp("programs")
    with Programs(folder, build_faults(folder) if COMPILER else None) as started:
        yield started


@pytest.fixture
def on_bad_disks(programs: Programs) -> Programs:
    """Commands in processes of their own, whose files can be made to fail."""
    if COMPILER is None:
        pytest.skip("no C compiler (cc): the library that makes writes fail cannot be built")
    return programs
