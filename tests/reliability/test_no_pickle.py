"""Nothing of a pickle is ever run."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.reliability
ROOT = Path(__file__).parents[2]
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
ALLOWED = {("vrlprobe/checkpoints/inert.py", "pickle")}
"""The importer's reader, which builds no object that a pickle names."""


def _uses(path: Path) -> set[str]:
    """What a module imports that can run a pickle, and loads that may do so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            options = {option.arg: option.value for option in node.keywords}
            if owner in ("torch", "joblib") and node.func.attr == "load":
                found.add(f"{owner}.load")
            if (owner, node.func.attr) == ("np", "load") and not _is_false(
                options.get("allow_pickle")
            ):
                found.add("np.load without allow_pickle=False")
            if node.func.attr == "read_pickle":
                found.add("read_pickle")
    return found


def _is_false(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def test_no_pickle(figure):
    paths = [*ROOT.glob("vrlprobe/**/*.py"), *ROOT.glob("trainers/**/*.py")]
    found = {(str(path.relative_to(ROOT)), use) for path in paths for use in _uses(path)}
    assert found == ALLOWED
    figure(f"{len(paths)} modules, none but the importer's restricted reader reads a pickle")


def test_the_search_finds_what_it_looks_for(tmp_path):
    (tmp_path / "a.py").write_text(
        "import pickle\nimport torch\nfrom dill import loads\n"
        "torch.load(x)\njoblib.load(x)\nnp.load(x)\n"
        "np.load(x, allow_pickle=False)\npd.read_pickle(x)\n"
    )
    assert _uses(tmp_path / "a.py") == {
        "pickle", "dill", "torch.load", "joblib.load", "read_pickle",
        "np.load without allow_pickle=False",
    }  # fmt: skip
