"""Aligned plain text, the same on a terminal and in a pipe; the same as HTML for notebooks."""

import html
from collections.abc import Mapping, Sequence


def escaped(text: str) -> str:
    """A text without characters that do something to a terminal: a line break becomes \\n."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def aligned(rows: Sequence[Mapping[str, str]]) -> str:
    """A table with the first row's keys as headings; columns that are all numbers flush right.

    What a terminal would obey is escaped, here and in `listed`: texts come from strangers' files.
    """
    if not rows:
        return ""
    names = list(rows[0])
    columns = [[escaped(cell) for cell in (name, *(row[name] for row in rows))] for name in names]
    return "\n".join(
        "  ".join(cells).rstrip() for cells in zip(*map(_padded, columns), strict=True)
    )


def listed(items: Mapping[str, str]) -> str:
    """One line an item, the values below each other."""
    width = max(map(len, items))
    rows = (f"{name:<{width}}  {escaped(value)}" for name, value in items.items())
    return "\n".join(row.rstrip() for row in rows)


def html_table(caption: str, items: Mapping[str, object]) -> str:
    """One row an item under a caption, every text escaped."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for name, value in items.items()
    )
    return f"<table><caption>{html.escape(caption)}</caption>{rows}</table>"


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
