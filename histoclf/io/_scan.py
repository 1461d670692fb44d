"""Walk a folder and list the image files in it."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from pathlib import Path

from histoclf.io._decode import EXTENSIONS

_DIGITS = re.compile(r"(\d+)")


def scan_images(root: str) -> tuple[list[str], Counter[str]]:
    """List the images below `root`.

    Returns
    -------
    files : list of str
        Paths relative to `root`, with ``/`` on any system, in natural order (2 before 10).
    ignored : Counter
        How many files of each other kind there are; hidden files and folders count as "hidden".

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If `root` is no folder.
    """
    _check_folder(root)
    files: list[str] = []
    ignored: Counter[str] = Counter()
    seen = {os.path.realpath(root)}
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    ignored["hidden"] += 1
                elif entry.is_dir():
                    # A link to a folder above would be walked for ever.
                    real = os.path.realpath(entry.path)
                    if real not in seen:
                        seen.add(real)
                        pending.append(f"{folder}{entry.name}/")
                elif (extension := os.path.splitext(entry.name)[1].lower()) in EXTENSIONS:
                    files.append(folder + entry.name)
                else:
                    ignored[extension or "no extension"] += 1
    return sorted(files, key=_natural), ignored


def _check_folder(root: str) -> None:
    path = Path(root)
    if path.is_file():
        raise NotADirectoryError(
            f"'{root}' is a file, expected the folder that holds the patches: '{path.parent}'?"
        )
    if not path.is_dir():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f" Did you mean '{path.parent / close[0]}'?" if close else f" (Looked in '{Path.cwd()}'.)"
        raise FileNotFoundError(f"There is no folder '{root}'.{hint}")


def _natural(file: str) -> tuple[list[str | int], str]:
    # Split at digits, text and numbers alternate, so that the lists compare; the name itself settles 01
    # against 1.
    parts: list[str | int] = [*_DIGITS.split(file.replace("/", "\0"))]
    parts[1::2] = [int(number) for number in parts[1::2]]
    return parts, file
