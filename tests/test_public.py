"""The names of the package: all there, and loaded only when they are used."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import vrlprobe


def test_every_public_name_is_what_it_says():
    for name in vrlprobe.__all__:
        assert getattr(vrlprobe, name).__name__ in (name, f"vrlprobe.{name}")
    assert set(vrlprobe.__all__) <= set(dir(vrlprobe))


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
