"""Network file systems are told."""

import warnings

import pytest

from vrlprobe.runs.mounts import NetworkFileSystemWarning, warn_if_network


def test_network_file_systems_are_warned_of(tmp_path):
    """The innermost mount decides."""
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"disk / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040nfs nfs4 rw 0 0\n"
        f"disk {tmp_path}/my\\040nfs/local ext4 rw 0 0\n"
    )
    with pytest.warns(NetworkFileSystemWarning, match="nfs4"):
        warn_if_network(tmp_path / "my nfs" / "run.h5", mounts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_network(tmp_path / "my nfs" / "local" / "run.h5", mounts)
        warn_if_network(tmp_path / "run.h5", mounts)
        warn_if_network(tmp_path / "run.h5", tmp_path / "no mounts here")
