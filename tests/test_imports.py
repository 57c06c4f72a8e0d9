"""Data goes one way through the house: nothing imports what comes after it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = (
    *(
        "lazy",
        "text",
        "interrupts",
        "errors",
        "checks",
        "device",
        "format",
        "results",
        "combining",
        "agents",
        "tasks",
        "envs",
        "checkpoints",
        "activations",
        "receptive",
    ),
    *(
        "samples",
        "sampling",
        "samplefile",
        "selection",
        "probes",
        "metrics",
        "collapse",
        "cohort",
        "comparison",
        "monitor",
    ),
    *("correlation", "contrast", "foretell", "survival", "speed", "studies"),
    *("figures", "plotting", "report", "cli"),
)
FILES = sorted([*ROOT.glob("vrlprobe/**/*.py"), *ROOT.glob("trainers/*.py")])


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


def room(module: str) -> str:
    """`format` for `vrlprobe.format.reader`."""
    return [*module.split("."), ""][1]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_imports_upwards(file: Path) -> None:
    modules = imported(file)
    parts = file.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "trainers":
        allowed = {"format", "agents", "device", "envs", "errors", "collapse", "metrics"}
        allowed |= {"text", "interrupts", "cli"}
        rooms = {room(m) for m in modules if m.startswith("vrlprobe.")}
        assert rooms <= allowed
        assert {m for m in modules if m.startswith("vrlprobe.cli")} <= {"vrlprobe.cli.group"}
        return
    assert not any(m.split(".")[0] == "trainers" for m in modules)
    if parts[1] in ("__init__", "__main__"):
        return
    assert parts[1] in ORDER, f"{file} is in no room of the house: add it to ORDER"
    own = ORDER.index(parts[1])
    above = [m for m in modules if m.startswith("vrlprobe.") and ORDER.index(room(m)) > own]
    assert not above
