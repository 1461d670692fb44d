"""Write files so that a name never stands for half of one."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress


def write_atomically(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write beside the place and move there, so that a crash or a full disk leaves the old file, or none.

    Parameters
    ----------
    path : str or path-like
        File to write or to replace; what a link points to is replaced, and the link stays.
    data : bytes or memoryview
        All of its content.
    """
    folder, name = os.path.split(os.path.realpath(path))
    draft = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, os.path.join(folder, name))
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
