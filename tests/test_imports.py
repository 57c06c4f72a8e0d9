"""A contract of floors: data goes one way through the house, and nothing imports upwards."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = (
    {"_lazy", "_text", "_interrupts", "_checks", "_group", "errors", "device"},
    {"runs"},
    {"agents", "envs"},
    {"checkpoints", "samples", "stats"},
    {"probes", "metrics", "collapse"},
    {"results"},
    {"analyses"},
    {"figures"},
    {"report"},
    {"cli"},
)
TRAINERS = {*FLOORS[0], *FLOORS[1], *FLOORS[2], "collapse", "metrics"}
"""What the trainer stands on."""
FILES = sorted(ROOT.glob("vrlprobe/**/*.py"))
TRAINER_FILES = sorted(ROOT.glob("trainers/**/*.py"))


def imported(file: Path) -> set[str]:
    """Every module a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            if node.module == "vrlprobe":
                found |= {f"vrlprobe.{alias.name}" for alias in node.names}
    return found


def rooms(file: Path) -> set[str]:
    """The rooms it imports from: `runs` for `vrlprobe.runs.reader`."""
    return {m.split(".")[1] for m in imported(file) if m.startswith("vrlprobe.")}


def own_room(file: Path) -> str:
    return file.relative_to(ROOT / "vrlprobe").with_suffix("").parts[0]


def floor(room: str) -> int:
    (found,) = (level for level, names in enumerate(FLOORS) if room in names)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_imports_upwards(file: Path) -> None:
    assert not any(m.split(".")[0] == "vrltrain" for m in imported(file))
    if own_room(file) in ("__init__", "__main__"):
        return
    own = floor(own_room(file))
    assert not {room for room in rooms(file) if floor(room) > own}


def test_rooms_of_one_floor_stand_in_an_order_too() -> None:
    graph: dict[str, set[str]] = {}
    for file in FILES:
        if (room := own_room(file)) not in ("__init__", "__main__"):
            graph.setdefault(room, set()).update(rooms(file) - {room})
    assert {*TopologicalSorter(graph).static_order()} == {
        name for names in FLOORS for name in names
    }


@pytest.mark.parametrize("file", TRAINER_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_trainer_stands_on_the_lower_floors(file: Path) -> None:
    assert rooms(file) <= TRAINERS
