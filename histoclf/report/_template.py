"""Fill a template into one HTML file that holds all it needs. The only module that knows Jinja.

A browser is told to load nothing from anywhere and to run no script but the one that belongs to the page,
whose hash is in the page's policy: what a file name or a label holds can be shown, and never be run.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

from histoclf.networks._optional import require

_STYLE = "page.css"


def render_template(
    name: str, *, title: str, script: str | None = None, language: str = "en", **values: Any
) -> str:
    """Fill a template.

    Parameters
    ----------
    name : str
        File in ``templates``, which extends ``page.html.jinja``.
    title : str
        Of the page.
    script : str, default=None
        File in ``templates`` with the JavaScript of the page.
    language : str, default="en"
        Of the text, as a BCP 47 tag.
    **values
        What the template names. Strings are escaped.

    Returns
    -------
    html : str
        The page.

    Raises
    ------
    MissingDependencyError
        If Jinja is not installed.
    """
    templates = _templates()
    style = _source(_STYLE)
    code = _source(script) if script else ""
    return templates.get_template(name).render(
        title=title, language=language, style=style, script=code, policy=_policy(style, code), **values
    )


@cache
def _templates() -> Any:
    require("jinja2", "writing an HTML page", "report")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("histoclf.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(name: str) -> str:
    """Return a file of our own as it is."""
    environment = _templates()
    return environment.loader.get_source(environment, name)[0]


def _policy(style: str, script: str) -> str:
    """Forbid everything but pictures in the page, its own style and its own script."""
    parts = ["default-src 'none'", "img-src data:", f"style-src {_hash(style)}"]
    if script:
        parts.append(f"script-src {_hash(script)}")
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
