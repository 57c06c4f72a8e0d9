"""What a run file of version 1 contains: one table that writer, guard, reader and verify share."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vrlprobe.errors import FormatError

FORMAT = "vrlprobe-run"
SAMPLES = "vrlprobe-samples"
"""The `format` of a sample set's file."""
FORMAT_VERSION = 1
IMAGES_PER_CHUNK = 50
MAX_JSON_BYTES = 1 << 20
MAX_DATASETS = 10_000
DEEPEST = 20
"""Levels of lists and objects in a file's JSON."""
MAX_STRETCH_BYTES = 4096
CONFIG, PROVENANCE, LAYOUT = "run/config", "run/provenance", "run/layout"
COMMITTED, DIGEST, FRAME = "run/committed", "run/digest", "log/frame"
STRETCH = "run/stretch"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-\[\]]*")


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset that grows by a row a commit.

    Attributes:
        row: shape of one row; the file's shape is (C, *row).
        dtype: its type, little endian.
        chunk: shape of the stored pieces of a row; the file's chunks are (1, *chunk).
        optional: what was not recorded (along the row's first axis) is absent and takes no
            space. Everything else is stored whole in every row.
        compress: gzip-1 (with shuffle for types wider than a byte) before the checksum.
        fill: what unwritten elements read as.
    """

    row: tuple[int, ...]
    dtype: str
    chunk: tuple[int, ...]
    optional: bool = False
    compress: bool = True
    fill: float = 0

    @property
    def item_bytes(self) -> int:
        """Bytes of a row, or of one step along its first axis where the rest may be absent."""
        shape = self.row[1:] if self.optional else self.row
        return math.prod(shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Layout:
    """The numbers and names that decide a run file's datasets, stored in it as JSON.

    Attributes:
        parameters: 'part/name' -> shape, e.g. 'encoder/convnet.0.weight' -> (32, 9, 3, 3).
        components: names of the columns of the recorded states.
        n_actions, physics_dim: columns of the recorded actions and of the physics state.
        image_shape: (3, height, width) of one image; None if a run records none.
        max_episodes, max_steps: the most episodes a rollout has and steps an episode has.
        batch_size: observations in the stored batch; 0 if a run stores none.
        frame_stack: images in one observation of that batch.
        log: name -> its dimensions beside `frame`, e.g. {'grad_norm': ('layer',)}.
        coords: dimension -> its labels, e.g. {'layer': ('mlp0', 'mlp1')}.
        aliases: other name -> the component that it equals.
        stretch_bytes: the most bytes of JSON that say what made a checkpoint; 0 if nothing does.
    """

    parameters: Mapping[str, tuple[int, ...]]
    components: tuple[str, ...] = ()
    n_actions: int = 0
    physics_dim: int = 0
    image_shape: tuple[int, int, int] | None = None
    max_episodes: int = 0
    max_steps: int = 0
    batch_size: int = 0
    frame_stack: int = 3
    log: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    stretch_bytes: int = 0

    def __post_init__(self) -> None:
        """Refuse what no run can be; raises FormatError."""
        _check_names(self)
        _check_aliases(self)
        _check_numbers(self)

    def to_json(self) -> bytes:
        """The layout as the file's `run/layout`."""
        return to_json(asdict(self), "the layout")

    def datasets(self) -> dict[str, DatasetSpec]:
        """Every growing dataset by its path, in the order in which a commit writes them.

        One that would have an axis of length 0 is left out.
        """
        table = {
            **{f"checkpoints/{k}": _weight(v) for k, v in self.parameters.items()},
            **self._rollouts(),
            **self._batch(),
            DIGEST: DatasetSpec((32,), "|u1", (32,), compress=False),
            STRETCH: DatasetSpec((self.stretch_bytes,), "|u1", (self.stretch_bytes,)),
            **{f"log/{name}": self._log(dims) for name, dims in self.log.items()},
            FRAME: DatasetSpec((), "<i8", (), fill=-1),
        }
        return {path: spec for path, spec in table.items() if math.prod(spec.row) > 0}

    def groups(self) -> set[str]:
        """Every group by its path."""
        paths = [*self.datasets(), *(f"log/{name}" for name in self.coords)]
        parents = {path.rpartition("/")[0] for path in paths}
        return {
            "/".join(p.split("/")[: n + 1]) for p in parents if p for n in range(p.count("/") + 1)
        }

    def _rollouts(self) -> dict[str, DatasetSpec]:
        n, t = self.max_episodes, self.max_steps
        images = self.image_shape or (0, 0, 0)
        steps = _even_chunk(t + 1, IMAGES_PER_CHUNK)
        series = {
            "actions": (t, self.n_actions, "<f4"),
            "states": (t + 1, len(self.components), "<f8"),
            "physics": (t + 1, self.physics_dim, "<f8"),
        }
        return {
            "rollouts/images": DatasetSpec((n, t + 1, *images), "|u1", (1, steps, *images), True),
            **{
                f"rollouts/{name}": DatasetSpec((n, rows, columns), dtype, (1, rows, columns), True)
                for name, (rows, columns, dtype) in series.items()
            },
            "rollouts/rewards": DatasetSpec((n, t), "<f4", (1, t), True),
            "rollouts/length": DatasetSpec((n,), "<i4", (n,)),
            "rollouts/n_images": DatasetSpec((n,), "<i4", (n,)),
        }

    def _batch(self) -> dict[str, DatasetSpec]:
        n = self.batch_size
        channels, height, width = self.image_shape or (0, 0, 0)
        shape = (self.frame_stack * channels, height, width)
        return {
            "batch/observations": DatasetSpec((n, *shape), "|u1", (min(n, 16), *shape), True),
            "batch/noise": DatasetSpec((n, self.n_actions), "<f4", (n, self.n_actions), True),
            "batch/size": DatasetSpec((1,) if n else (0,), "<i4", (1,)),
        }

    def _log(self, dims: tuple[str, ...]) -> DatasetSpec:
        shape = tuple(len(self.coords[dim]) for dim in dims)
        return DatasetSpec(shape, "<f8", shape, fill=math.nan)


def layout_from_json(blob: bytes) -> Layout:
    """Read a file's `run/layout`; raises FormatError on anything unexpected."""
    raw = from_json(blob, "the layout")
    try:
        image_shape = raw.pop("image_shape")
        return Layout(
            parameters={k: tuple(v) for k, v in raw.pop("parameters").items()},
            components=tuple(raw.pop("components")),
            image_shape=None if image_shape is None else tuple(image_shape),
            log={k: tuple(v) for k, v in raw.pop("log").items()},
            coords={k: tuple(v) for k, v in raw.pop("coords").items()},
            **raw,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FormatError(f"the layout in the file is malformed: {error!r}") from None


def to_json(content: Mapping[str, Any], what: str) -> bytes:
    """Encode a JSON object; raises FormatError where it is none, or too large for a run file."""
    try:
        blob = json.dumps(content, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise FormatError(f"{what} cannot be stored as JSON: {error}") from None
    if len(blob) > MAX_JSON_BYTES:
        raise FormatError(f"{what} takes {len(blob)} bytes as JSON; the limit is {MAX_JSON_BYTES}")
    return blob


def from_json(blob: bytes, what: str) -> dict[str, Any]:
    """Decode a JSON object; raises FormatError where it is none."""
    try:
        content = json.loads(blob, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} in the file is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise FormatError(f"{what} in the file is not a JSON object")
    if _is_deeper(content, DEEPEST):
        raise FormatError(f"{what} in the file is nested more than {DEEPEST} levels deep")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_deeper(content: Any, levels: int) -> bool:
    """Whether lists and objects are nested beyond so many levels."""
    if not isinstance(content, dict | list):
        return False
    inside = content.values() if isinstance(content, dict) else content
    return not levels or any(_is_deeper(item, levels - 1) for item in inside)


def parameters_digest(parameters: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The SHA-256 of a checkpoint: of each parameter, by name, its name, shape and bytes."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        array = np.asarray(parameters[name], dtype="<f4", order="C")
        digest.update(f"{name}\0{'x'.join(map(str, array.shape))}\0".encode())
        digest.update(array.data)
    return digest.digest()


def _weight(shape: tuple[int, ...]) -> DatasetSpec:
    return DatasetSpec(shape, "<f4", shape, compress=False)


def _even_chunk(length: int, target: int) -> int:
    return math.ceil(length / math.ceil(length / target))


def _check_names(layout: Layout) -> None:
    parts = [part for name in layout.parameters for part in name.split("/", 1)]
    names: Sequence[Any] = [*parts, *layout.log, *layout.coords]
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise FormatError(f"{name!r} cannot name a parameter, a log entry or a coordinate")
    if missing := [name for name in layout.parameters if "/" not in name]:
        raise FormatError(
            f"parameter {missing[0]!r} has no part before it, as in 'actor/{missing[0]}'"
        )
    if not layout.parameters:
        raise FormatError("a run needs at least one parameter")
    taken = [*layout.log, *layout.coords, "frame"]
    if double := {name for name in taken if taken.count(name) > 1}:
        raise FormatError(f"log name {sorted(double)[0]!r} is used twice ('frame' is always there)")
    for name, dims in layout.log.items():
        if unknown := [dim for dim in dims if dim not in layout.coords]:
            raise FormatError(
                f"log entry {name!r} has dimension {unknown[0]!r}, which has no coords"
            )
    labels = [*layout.components, *(label for labels in layout.coords.values() for label in labels)]
    if not all(isinstance(label, str) and label for label in labels):
        raise FormatError("components and coordinate labels must be non-empty strings")
    if not all(layout.coords.values()):
        raise FormatError("every coordinate needs at least one label")
    if len(set(layout.components)) != len(layout.components):
        raise FormatError("the components' names are not all different")


def _check_aliases(layout: Layout) -> None:
    if not isinstance(layout.aliases, Mapping):
        raise FormatError(f"aliases are names by names, not {type(layout.aliases).__name__}")
    for name, component in layout.aliases.items():
        if not isinstance(name, str) or not isinstance(component, str):
            raise FormatError(f"the alias {name!r} is of {component!r}, names are needed")


def _check_numbers(layout: Layout) -> None:
    image_shape = layout.image_shape or (3, 1, 1)
    shapes = [*layout.parameters.values(), image_shape]
    sizes = [layout.n_actions, layout.physics_dim, layout.max_episodes, layout.max_steps]
    for value in [*sizes, layout.batch_size, layout.stretch_bytes]:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise FormatError(f"sizes must be whole numbers from 0, not {value!r}")
    for value in [layout.frame_stack, *(size for shape in shapes for size in shape)]:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise FormatError(f"shapes must be whole numbers from 1, not {value!r}")
    if len(image_shape) != 3:
        raise FormatError(f"image_shape must be (channels, height, width), not {image_shape}")
    if layout.max_episodes and not layout.max_steps:
        raise FormatError("max_steps must be at least 1 where max_episodes is")
    if layout.batch_size and layout.image_shape is None:
        raise FormatError("a stored batch needs image_shape")
    if layout.stretch_bytes > MAX_STRETCH_BYTES:
        raise FormatError(
            f"stretch_bytes is {layout.stretch_bytes}, but at most {MAX_STRETCH_BYTES}"
        )
    if len(layout.parameters) + len(layout.log) > MAX_DATASETS:
        raise FormatError(f"more than {MAX_DATASETS} datasets")
