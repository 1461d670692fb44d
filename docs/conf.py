"""How the site is built: ``python -m sphinx -W docs docs/_build``. It needs no network."""

import histoclf

project = "histoclf"
author = "histoclf developers"
copyright = "2026, histoclf developers"
release = version = histoclf.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "py:obj"
rst_prolog = ".. currentmodule:: histoclf\n"  # so that `find_patches` is a link on every page

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = f"histoclf {release}"
html_show_sourcelink = False
html_sidebars = {page: [] for page in ["quickstart", "results", "faq", "design"]}  # nothing below them
html_theme_options = {
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}


def skip_inherited(app, what, name, obj, skip, options):
    """Leave to scikit-learn what scikit-learn adds to our classes; its references lead to its own site."""
    module = getattr(obj, "__module__", None)
    return skip or (module is not None and not str(module).startswith("histoclf"))


def setup(app):
    """Register the filter above."""
    app.connect("autodoc-skip-member", skip_inherited)
