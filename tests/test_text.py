"""Plain text for a person: tables, lists and sizes."""

from vrlprobe._text import aligned, byte_size, listed


def test_numbers_are_flush_right():
    assert aligned([{"n": "5", "s": "a"}, {"n": "10", "s": "b"}]) == " n  s\n 5  a\n10  b"


def test_values_are_below_each_other():
    assert listed({"run": "a.h5", "architecture": ""}) == "run           a.h5\narchitecture"


def test_sizes_are_readable():
    found = [byte_size(n) for n in (999, 1_234, 5_600_000, 7_800_000_000)]
    assert found == ["999 B", "1.2 kB", "5.6 MB", "7.8 GB"]
