"""The bytes of a model file: a zip of one JSON document and plain NumPy arrays, sealed with a checksum.

Any zip tool opens it and ``numpy.load`` reads its arrays. The zip's comment, which is the end of the file,
holds the SHA-256 of everything before it, so a file cut short or altered in any single byte is recognised
before anything in it is read. That guards against damage; whoever writes a file on purpose can also write the
checksum, and for that case the reader runs no code from the file and unpacks no more than its size.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import numpy as np

from histoclf.exceptions import ModelFileError

_DOCUMENT = "model.json"
_SEAL = b"histoclf sha256 "
_N_DIGITS = 64
_DATE = (1980, 1, 1, 0, 0, 0)  # a constant, so that one model always gives the same bytes


def pack(document: dict[str, Any], arrays: list[np.ndarray]) -> bytes:
    """Put a document and arrays into the bytes of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(document, indent=1, allow_nan=False)
        archive.writestr(zipfile.ZipInfo(_DOCUMENT, _DATE), text.encode("utf-8"))
        for position, array in enumerate(arrays):
            archive.writestr(zipfile.ZipInfo(_name(position), _DATE), _to_npy(array))
        archive.comment = _SEAL + b"0" * _N_DIGITS
    body = buffer.getvalue()[:-_N_DIGITS]
    return body + _digest(body)


def unpack(data: bytes, *, arrays: bool = True) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Undo `pack`; without `arrays` their list is empty.

    Raises
    ------
    ModelFileError
        If the bytes are not those that `pack` made.
    """
    _check_seal(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_bombs(archive, len(data))
            document = json.loads(archive.read(_DOCUMENT))
            n_arrays = len(archive.namelist()) - 1 if arrays else 0
            found = [_from_npy(archive.read(_name(i))) for i in range(n_arrays)]
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, MemoryError, RecursionError) as error:
        raise ModelFileError(f"it is not built like a model file of histoclf: {error}") from error
    return document, found


def _check_seal(data: bytes) -> None:
    body, seal = data[:-_N_DIGITS], data[-_N_DIGITS:]
    if not data.startswith(b"PK"):
        pickled = data.startswith((b"\x80", b"\x78"))
        cure = "it looks like a pickle; load it with joblib.load" if pickled else "check the path"
        raise ModelFileError(f"it is no model file of histoclf: {cure}")
    if not body.endswith(_SEAL):
        raise ModelFileError("it is cut short, or a zip file of another kind; copy or save it again")
    if _digest(body) != seal:
        raise ModelFileError("it was altered after saving, as its checksum tells; copy or save it again")


def _refuse_bombs(archive: zipfile.ZipFile, size: int) -> None:
    """Members are stored as they are, so honest ones are never larger than the file."""
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("its members are compressed")
    if sum(member.file_size for member in members) > size:
        raise ValueError("its members claim to be larger than the file")


def _to_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _from_npy(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def _name(position: int) -> str:
    return f"arrays/{position:03d}.npy"


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode("ascii")
