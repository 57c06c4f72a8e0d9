"""The names of the package: all there, and loaded only when they are used."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version

import pytest

import vrlprobe
from vrlprobe.analyses.shared import variants


def test_every_public_name_is_what_it_says():
    for name in vrlprobe.__all__:
        assert getattr(vrlprobe, name).__name__ in (name, f"vrlprobe.{name}")
    assert set(vrlprobe.__all__) <= set(dir(vrlprobe))


@pytest.mark.parametrize(
    ("study", "tables"),
    [
        ("vrlprobe.analyses._probe.probe", ("VARIABLES",)),
        ("vrlprobe.analyses._metrics.metrics", ("LAYERED", "AGENT")),
        ("vrlprobe.analyses._cohort.cohort", ("PER_RUN",)),
        ("vrlprobe.analyses._compare.compare", ("VARIABLES", "MEASURES")),
        ("vrlprobe.analyses._contrast.contrast", ("VARIABLES", "PLANNED")),
        ("vrlprobe.analyses._reset_rule.reset_rule", ("RULE_VARIABLES",)),
        ("vrlprobe.analyses._forecast.forecast", ("VARIABLES", "PER_RUN")),
        ("vrlprobe.analyses._survival.survival", ("PER_ATTEMPT", "PER_FRAME", "PER_RUN")),
        ("vrlprobe.analyses._predict.predict", ("VARIABLES",)),
        ("vrlprobe.analyses._diagnose.diagnose", ("VARIABLES",)),
        ("vrlprobe.analyses._ablate.ablate", ("VARIABLES", "CONDITIONS")),
        ("vrlprobe.analyses._patch.patch", ("VARIABLES",)),
        ("vrlprobe.analyses._similarity.similarity", ("VARIABLES",)),
        ("vrlprobe.analyses._stitch.stitch", ("VARIABLES",)),
        ("vrlprobe.analyses._units.units", ("ATOMS",)),
    ],
)
def test_help_names_every_variable_of_a_result(study, tables):
    where, name = study.rsplit(".", 1)
    module = import_module(where)
    text = getattr(module, name).__doc__
    for table in tables:
        assert not [key for key in getattr(module, table) if f"`{key}`" not in text]
        assert f"`{table}`" not in text


def test_help_names_the_variables_of_controls_kinds_and_splits():
    tables = (variants.CONTROL_VARIABLES, variants.PROBE_VARIABLES, variants.SPLIT_VARIABLES)
    names = [name for table in tables for name in table]
    assert not [name for name in names if f"`{name}`" not in (vrlprobe.probe.__doc__ or "")]


def test_the_version():
    assert vrlprobe.__version__ == version("vrlprobe")


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vrlprobe.nothing


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"torch", "h5py", "xarray", "numpy", "matplotlib", "jinja2"}
    code = f"import sys, vrlprobe; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_commands_of_logs_and_results_do_not_wait_for_torch():
    names = (
        "info verify salvage samples collapse reset_rule cohort compare contrast predict "
        "forecast survival plot report"
    )
    code = f"import sys, {', '.join(f'vrlprobe.cli.{name}' for name in names.split())}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
