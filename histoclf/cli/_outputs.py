"""Files that a command writes: never half of one, and never over another without consent."""

from __future__ import annotations

from pathlib import Path


def check_target(file: str | None, force: bool) -> None:
    """Refuse, before any work is done, a file that cannot or must not be written.

    Raises
    ------
    FileExistsError, IsADirectoryError, FileNotFoundError
        If the file exists and `force` is not set, is a folder, or its folder does not exist.
    """
    if file is None:
        return
    path = Path(file)
    if path.is_dir():
        raise IsADirectoryError(f"'{file}' is a folder, expected the name of a file to write.")
    if path.exists() and not force:
        raise FileExistsError(f"'{file}' exists already. Choose another name, or replace it with --force.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder '{path.parent}' to write '{path.name}' into; make it first."
        )
