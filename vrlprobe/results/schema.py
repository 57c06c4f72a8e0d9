"""What a kind of result holds: makes the blank dataset, documents it, checks it on loading."""

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from vrlprobe.errors import FormatError

F = TypeVar("F", bound=Callable[..., Any])
PLACE = "{variables}"
"""The line of a docstring that becomes the table of variables."""
WIDTHS = (24, 8, 52)
"""Characters to which the table's dimensions, units and meanings are wrapped."""


@dataclass(frozen=True)
class Variable:
    """A variable of a result.

    Attributes:
        dims: its dimensions.
        blank: the value where nothing was computed.
        meaning: its `long_name` in files.
        units: its `units` in files: `frames` of the environment, `reward`, `1` for what has none;
            empty for text, flags, and what is in the units of a component or a metric.
        given: what must be asked for to get it; empty for what every result has.
    """

    dims: tuple[str, ...]
    blank: Any
    meaning: str
    units: str = ""
    given: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """Attributes in a dataset, as the CF conventions name them."""
        return {"long_name": self.meaning} | ({"units": self.units} if self.units else {})


@dataclass(frozen=True)
class Schema:
    """The variables of one kind of result.

    Attributes:
        kind: the attribute `vrlprobe` of such a dataset.
        variables: by name, in the order of a result.
        needed: dimensions and variables without which a selection is no result of this kind.
        labels: by dimension, its labels with what each means.
    """

    kind: str
    variables: Mapping[str, Variable]
    needed: tuple[str, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def blank(self, coords: Mapping[str, Sequence[Any]], *given: str) -> xr.Dataset:
        """A result in which nothing is computed yet.

        Args:
            coords: labels by dimension; variables with other dimensions, and scalars, are left out.
            given: what was asked for, see `Variable.given`.
        """
        dataset = xr.Dataset(coords={name: list(labels) for name, labels in coords.items()})
        for name, item in self.variables.items():
            asked = not item.given or item.given in given
            if asked and item.dims and set(item.dims) <= coords.keys():
                shape = [dataset.sizes[dim] for dim in item.dims]
                kind = object if item.blank == "" else None
                dataset[name] = (item.dims, np.full(shape, item.blank, kind), item.attributes)
        return dataset

    def labelled(self, dataset: xr.Dataset) -> xr.Dataset:
        """The dataset with the meaning and units of each variable as its attributes."""
        for name in self.variables.keys() & dataset.variables.keys():
            dataset[name].attrs |= self.variables[name].attributes
        return dataset

    def check(self, dataset: xr.Dataset, what: str) -> None:
        """Raise FormatError where a variable has other dimensions than here, or another kind."""
        for name in self.variables.keys() & dataset.variables.keys():
            values, item = dataset[name], self.variables[name]
            if more := [str(dim) for dim in values.dims if dim not in item.dims]:
                raise FormatError(
                    f"{what}: `{name}` has the dimension `{more[0]}`, a result of {self.kind} has "
                    f"it by {' and '.join(item.dims) or 'none'}: make the result again"
                )
            if _is_text(values.values) != (item.blank == ""):
                kinds = ("numbers", "text") if item.blank == "" else ("text", "numbers")
                raise FormatError(
                    f"{what}: `{name}` holds {kinds[0]}, a result of {self.kind} has {kinds[1]} "
                    "there: make the result again"
                )

    def documented(self, function: F) -> F:
        """Put the table of variables where the function's docstring says `{variables}`."""
        if function.__doc__:
            lines = inspect.cleandoc(function.__doc__).splitlines()
            function.__doc__ = "\n".join(part for line in lines for part in self._put(line))
        return function

    def _put(self, line: str) -> Iterator[str]:
        if line.strip() != PLACE:
            yield line
            return
        before = line[: line.index(PLACE)]
        yield from (f"{before}{row}".rstrip() for row in self.table().splitlines())

    def table(self) -> str:
        """The variables, and the labels of dimensions, as tables of reStructuredText."""
        rows = [
            (name, ", ".join(item.dims) or "none", item.units, _said(item))
            for name, item in self.variables.items()
        ]
        parts = [_table(("variable", "dimensions", "units", "meaning"), rows, WIDTHS)]
        for dim, labels in self.labels.items():
            head = (f"label of `{dim}`", "meaning")
            parts.append(_table(head, list(labels.items()), (sum(WIDTHS),)))
        return "\n\n".join(parts)


def _said(item: Variable) -> str:
    return f"{item.meaning} (with {item.given})" if item.given else item.meaning


def _is_text(values: np.ndarray[Any, Any]) -> bool:
    return values.dtype.kind in "OUS"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    """A simple table; all columns but the first are wrapped to their widths."""
    first = max(len(row[0]) for row in [head, *rows])
    rule = "  ".join("=" * width for width in (first, *widths))
    lines = [rule, *_wrapped(head, first, widths), rule]
    for row in rows:
        lines += _wrapped(row, first, widths)
    return "\n".join([*lines, rule])


def _wrapped(row: Sequence[str], first: int, widths: Sequence[int]) -> list[str]:
    cells = [
        textwrap.wrap(text, width) or [""] for text, width in zip(row[1:], widths, strict=True)
    ]
    columns = [([row[0]], first), *zip(cells, widths, strict=True)]
    height = max(map(len, cells))
    padded = [[text.ljust(width) for text in _filled(cell, height)] for cell, width in columns]
    return ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]


def _filled(cell: Sequence[str], height: int) -> list[str]:
    return [*cell, *[""] * (height - len(cell))]
