"""The document of a model file: found, read and recognised, without the classes that it speaks of."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from histoclf.exceptions import ModelFileError
from histoclf.persistence._archive import unpack

Result = TypeVar("Result")

# To the next maintainer: raise this number in the same change that makes files which the version before
# cannot read (a new rule in _encoding.py and a new parameter of a classifier do, a new learned attribute does
# not), and keep reading all lower numbers. Three things must never change, or old versions can no longer tell
# a newer file from a broken one: the file is a zip, its comment ends in the SHA-256 of all bytes before it,
# and "model.json" has "format".
FORMAT = 1


def read_document(
    path: str | os.PathLike[str], use: Callable[[dict[str, Any], list[Any]], Result], *, arrays: bool = True
) -> Result:
    """Read a model file, and make something of it.

    Parameters
    ----------
    path : str or path-like
        File that `save_model` wrote.
    use : callable
        Takes the document and its arrays, and raises a ModelFileError if it can make nothing of them.
    arrays : bool, default=True
        Whether the arrays are wanted.

    Returns
    -------
    result : object
        What `use` returned.

    Raises
    ------
    ModelFileError
        If the file was cut short or altered, is no model file, or is from a newer version of histoclf.
    FileNotFoundError, IsADirectoryError
        If there is no such file; it names the nearest one.
    """
    path = Path(path)
    _check_source(path)
    try:
        document, found = unpack(path.read_bytes(), arrays=arrays)
        _check_format(document)
        return use(document, found)
    except ModelFileError as error:
        raise ModelFileError(f"{str(path)!r} cannot be loaded: {error}.") from error


def _check_source(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder. Expected a file that save_model wrote.")
    if path.exists():
        return
    siblings = os.listdir(path.parent) if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1)
    cure = f"; did you mean {str(path.parent / close[0])!r}?" if close else "; check the path."
    raise FileNotFoundError(f"There is no model file {str(path)!r}{cure}")


def _check_format(document: Any) -> None:
    if not isinstance(document, dict) or type(document.get("format")) is not int:
        raise ModelFileError("it states no format, so histoclf did not write it")
    found = document["format"]
    if found > FORMAT:
        raise ModelFileError(
            f"it is of format {found}, written by histoclf {document.get('histoclf')}, and this version "
            f"reads formats up to {FORMAT}; upgrade histoclf"
        )
