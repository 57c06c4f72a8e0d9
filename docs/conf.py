"""How Sphinx builds the site: `make docs` calls it with the repository's root as its source.

From the root, the links between pages, and from pages to code, lead where they lead in the
repository: no page is written or rewritten for the site alone.
"""

from importlib.metadata import version as version_of
from typing import Any

from sphinx_gallery.scrapers import figure_rst

from vrlprobe.figures import Plot

project = "vrlprobe"
author = "vrlprobe developers"
copyright = f"2026, {author}"
version = release = version_of("vrlprobe")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
default_role = "py:obj"
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "fixtures/README.md",
    "vrlprobe/runs/SPEC.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "docs/notebooks"]
suppress_warnings = ["config.cache"]  # the settings of the gallery hold functions

# pages are plain Markdown, written for the repository's host too
myst_heading_anchors = 4
highlight_language = "none"

# docstrings in numpydoc's sections; types that they leave out are those of the annotations
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {
    # of scikit-learn, the same in all estimators; its text links to pages of its own
    "exclude-members": "get_metadata_routing, set_fit_request, set_score_request",
}
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"vrlprobe {release}"
html_copy_source = False
html_show_sourcelink = False
html_extra_path = ["_extra"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp"


def plots(
    block: tuple[str, str, int], block_vars: dict[str, Any], gallery_conf: dict[str, Any]
) -> str:
    """The `Plot` that a notebook's cell ends with, if it does, as a picture below the cell."""
    value = block_vars["example_globals"].get("___")
    if not isinstance(value, Plot) or value in block_vars.setdefault("drawn", []):
        return ""
    block_vars["drawn"].append(value)
    path = next(block_vars["image_path_iterator"])
    value.save(path)
    return str(figure_rst([path], gallery_conf["src_dir"]))


sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "docs/notebooks",
    "gallery_dirs": "docs/tutorials",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("matplotlib", plots),
    "ignore_repr_types": r"Plot",
    "abort_on_example_error": True,
    "write_computation_times": False,
    "show_signature": False,
    "download_all_examples": False,
    "plot_gallery": True,
    "remove_config_comments": True,
}
