"""The errors that vrlprobe raises on purpose: each message is one line a person can act on."""

import difflib
from collections.abc import Iterable

from vrlprobe._text import escaped

LONGEST = 2000


class VrlprobeError(Exception):
    """Base of every error that a user's input or file can cause; the commands print it, exit 1.

    Messages quote names out of strangers' files: control characters are escaped, so that each stays
    one line and does nothing to a terminal, and what is too long is cut.
    """

    def __init__(self, message: str) -> None:
        shown = escaped(message)
        super().__init__(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} …")


class FormatError(VrlprobeError):
    """A file is not what it should be: not a run, an unknown version, a schema mismatch."""


class IntegrityError(VrlprobeError):
    """Stored bytes do not match their checksum or digest."""


class UnsafeFileError(VrlprobeError):
    """A file holds links, external storage or sizes that a run never has; it is not read."""


class UnknownFrameError(VrlprobeError):
    """A run has no checkpoint at the frame asked for."""


class UnknownLayerError(VrlprobeError):
    """An agent has no layer of that name."""


class UnknownTaskError(VrlprobeError):
    """The DeepMind Control Suite has no task of that name, or the task has no named state."""


class SampleError(VrlprobeError):
    """Samples are missing, too few, or do not fit the agent that is probed."""


class RenderError(VrlprobeError):
    """No OpenGL library that MuJoCo can render with."""


class DeviceError(VrlprobeError):
    """Torch cannot compute on the device asked for."""


class ResumeError(VrlprobeError):
    """A run cannot be continued: its resume state is missing, damaged, or of another run."""


class TransplantError(VrlprobeError):
    """A transplant's donors are missing, or do not fit each other or the training they begin."""


def did_you_mean(name: str, known: Iterable[str], form: str = "{} ", most: int = 1) -> str:
    """What a message of an unknown name adds: "did you mean mlp1? ", or nothing.

    Args:
        name: what was given.
        known: what might have been.
        form: how the question is set off from the words around it.
        most: names offered.
    """
    near = difflib.get_close_matches(str(name), list(known), most)
    return form.format(f"did you mean {', '.join(near)}?") if near else ""
