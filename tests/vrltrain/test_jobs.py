"""Seeds as they are written on the command line."""

import pytest

from vrltrain.jobs import parse_seeds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3", [0, 1, 2, 3]), ("7", [7]), ("5,1, 3", [1, 3, 5]), ("0-2,2-3", [0, 1, 2, 3])],
)
def test_seeds(text: str, expected: list[int]) -> None:
    assert parse_seeds(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "1.5"])
def test_what_is_no_list_of_seeds(text: str) -> None:
    with pytest.raises(ValueError, match="seeds"):
        parse_seeds(text)
