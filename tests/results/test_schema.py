"""A schema makes the blank result, documents it, and refuses a file that does not fit."""

import numpy as np
import pytest
import xarray as xr
from docutils import nodes
from docutils.core import publish_doctree

import vrlprobe
from vrlprobe import analyses, read_records
from vrlprobe.errors import FormatError
from vrlprobe.results.file import load_result, save_result
from vrlprobe.results.schema import Schema, Variable
from vrlprobe.results.schemas import SCHEMAS
from vrlprobe.results.schemas.cohort import COHORT

KINDS = {"reset_rule": "rule", "forecast": "foretell", "survival": "outlook", "units": "atoms"}
"""Results that are called otherwise in files than their command."""
SMALL = Schema(
    "small",
    {
        "value": Variable(("run", "frame"), np.nan, "a number", "frames"),
        "word": Variable(("run",), "", "a word"),
        "asked": Variable(("run",), 0, "a count", "1", given="more"),
        "total": Variable((), np.nan, "a scalar", "1"),
        "other": Variable(("layer",), False, "of a dimension that is not there"),
    },
)
COORDS = {"run": ["a", "b"], "frame": [0, 2, 4]}


def test_a_blank_result_holds_what_was_asked_for() -> None:
    found = SMALL.blank(COORDS)
    assert list(found) == ["value", "word"]
    assert found["value"].shape == (2, 3)
    assert np.isnan(found["value"].values).all()
    assert found["word"].values.tolist() == ["", ""]
    assert found["value"].attrs == {"long_name": "a number", "units": "frames"}
    assert found["word"].attrs == {"long_name": "a word"}
    assert list(SMALL.blank(COORDS, "more")) == ["value", "word", "asked"]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.kind)
def test_a_schema_is_a_table_that_sphinx_reads(schema: Schema) -> None:
    """Docutils, which knows nothing of schemas, finds a row for each variable and label."""
    tree = publish_doctree(
        schema.table(), settings_overrides={"halt_level": 2, "report_level": 2, "raw_enabled": 0}
    )
    rows = [[row[0].astext() for row in table.children] for table in tree.findall(nodes.tbody)]
    expected = [list(schema.variables), *(list(labels) for labels in schema.labels.values())]
    assert rows == expected


@pytest.mark.parametrize(
    "name",
    [
        *("probe", "metrics", "cohort", "compare", "contrast", "predict", "reset_rule"),
        *("forecast", "survival", "escape", "order", "stitch", "units", "film", "similarity"),
    ],
)
def test_the_help_of_an_analysis_holds_the_table_of_its_result(name: str) -> None:
    function = vrlprobe.probe if name == "probe" else getattr(analyses, name)
    assert "{variables}" not in function.__doc__
    lines = [line.strip() for line in function.__doc__.splitlines()]
    assert KINDS.get(name, name) in SCHEMAS
    table = SCHEMAS[KINDS.get(name, name)].table().splitlines()
    assert {line.strip() for line in table} <= set(lines)


def test_a_cohort_holds_what_its_schema_says() -> None:
    records = read_records("docs/study/desk/*.json")
    found = analyses.cohort(records)
    plain = {name for name, item in COHORT.variables.items() if not item.given}
    assert set(found.data_vars) == plain
    assert set(analyses.cohort(records, by="seed").data_vars) == set(COHORT.variables)
    for name in plain:
        assert set(found[name].dims) == set(COHORT.variables[name].dims)
    assert found["frames_to_threshold"].attrs["units"] == "frames"
    assert found["final"].attrs["units"] == found["percentile_5"].attrs["units"] == "reward"
    assert "units" not in found["verdict"].attrs


def changed(**variables: object) -> xr.Dataset:
    result = COHORT.blank({"run": ["a"], "frame": [0]}).assign(variables)
    return result.assign_attrs(vrlprobe="cohort")


def test_a_file_that_does_not_fit_is_refused(tmp_path) -> None:
    path = tmp_path / "a.nc"
    for wrong, said in (
        ({"since": ("frame", [1])}, "`since` has the dimension `frame`, a result of cohort has it"),
        ({"since": ("run", ["never"])}, "`since` holds text, a result of cohort has numbers"),
        ({"verdict": ("run", [3])}, "`verdict` holds numbers, a result of cohort has text"),
    ):
        save_result(changed(**wrong), path)
        with pytest.raises(FormatError, match=said):
            load_result(path)
    fits = changed(own=("run", [1.0])).isel(run=0)  # a selection, with a variable of one's own
    save_result(fits, path)
    xr.testing.assert_identical(load_result(path), fits)
