"""Aligned plain text, the same on a terminal and in a pipe."""

from collections.abc import Mapping, Sequence


def aligned(rows: Sequence[Mapping[str, str]]) -> str:
    """A table with the first row's keys as headings; columns that are all numbers flush right."""
    names = list(rows[0])
    columns = [[name, *(row[name] for row in rows)] for name in names]
    return "\n".join(
        "  ".join(cells).rstrip() for cells in zip(*map(_padded, columns), strict=True)
    )


def listed(items: Mapping[str, str]) -> str:
    """One line an item, the values below each other."""
    width = max(map(len, items))
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in items.items())


def _padded(column: list[str]) -> list[str]:
    width = max(map(len, column))
    numbers = all(cell[:1].isdigit() or cell[:1] in "-" for cell in column[1:])
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in column]


def byte_size(n: int) -> str:
    """Bytes for a person, in powers of 1000: 999 B, 1.2 MB."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= factor:
            return f"{n / factor:.1f} {unit}"
    return f"{n} B"
