"""Network file systems, where a growing run cannot be followed safely."""

import warnings
from pathlib import Path

NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}


class NetworkFileSystemWarning(UserWarning):
    """A run file that is being written lies on a network file system."""


def warn_if_network(path: Path, mounts: Path = Path("/proc/mounts")) -> None:
    """Warn where `path` lies on a network file system: followers may read stale data there."""
    kind = _file_system(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        warnings.warn(
            f"{path}: on a network file system ({kind}), where a growing run cannot be followed "
            "safely; write it to a local disk (vrltrain --scratch) and move it when it is done",
            NetworkFileSystemWarning,
            stacklevel=3,
        )


def _file_system(path: Path, mounts: Path) -> str:
    folder = path.resolve().parent
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return "unknown"
    points = [(row[1].replace("\\040", " "), row[2]) for row in rows if len(row) > 2]
    on_path = [(len(point), kind) for point, kind in points if folder.is_relative_to(point)]
    return max(on_path, default=(0, "unknown"), key=lambda item: item[0])[1]
