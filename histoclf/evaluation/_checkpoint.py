"""Keep every finished fit in a file, and go on from there."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from hashlib import blake2b
from inspect import isroutine
from pathlib import Path
from typing import Any

import numpy as np

from histoclf import __version__
from histoclf.evaluation._fit import Fit, FitResult
from histoclf.exceptions import CheckpointError
from histoclf.io._atomic import write_atomically
from histoclf.io._fingerprint import array_keys, file_keys
from histoclf.io._paths import as_paths

_FORMAT = 1  # raise it when the layout changes; older files are then refused
_WITHOUT_EFFECT = {"verbose", "n_jobs", "memory", "pre_dispatch"}  # on the probabilities
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_ESTIMATOR, _PARAMETER = "the estimator", "the parameter "
_MOST = 6  # differences that a message names
_SHOWN = 60  # characters of a parameter in a message


class Checkpoint:
    """Results of fits in a file, which is whole at any time.

    Parameters
    ----------
    path : str or path-like
        File to go on from, or to make.
    identity : dict of str to str
        What the results depend on, by its name for people.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, or one of something else.
    OSError
        If it cannot be read or written; found before the first fit.
    """

    def __init__(self, path: str | os.PathLike[str], identity: dict[str, str]) -> None:
        self.path = Path(path)
        self.identity = identity
        self._entries: dict[str, dict[str, Any]] = {}
        self._arrays: dict[str, np.ndarray] = {}
        if self.path.is_dir():
            raise IsADirectoryError(f"checkpoint='{self.path}' is a folder; expected the name of a file.")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.path.parent}' to keep a checkpoint in.")
        if self.path.exists():
            self._load()
        self._write()

    def find(self, fits: list[Fit]) -> dict[str, FitResult]:
        """Return the results that are there, by the key of the fit."""
        known = [fit for fit in fits if self._entries.get(fit.key, {}).get("rows") == _rows(fit)]
        return {fit.key: self._result(fit.key) for fit in known}

    def add(self, fit: Fit, result: FitResult) -> None:
        """Keep a result."""
        self._entries[fit.key] = {
            "rows": _rows(fit),
            "training": result.training,
            "seconds": result.seconds,
            "warnings": list(result.warnings),
            "failure": result.failure,
        }
        self._arrays[fit.key] = result.probabilities
        self._write()

    def _result(self, key: str) -> FitResult:
        entry = self._entries[key]
        fields = {name: entry[name] for name in ("training", "seconds", "failure")}
        return FitResult(self._arrays[key], warnings=tuple(entry["warnings"]), **fields)

    def _write(self) -> None:
        document = {"format": _FORMAT, "identity": self.identity, "fits": list(self._entries.items())}
        text = np.frombuffer(json.dumps(document).encode("utf-8"), dtype=np.uint8)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {
            f"probabilities_{number}": self._arrays[key] for number, key in enumerate(self._entries)
        }
        np.savez(buffer, document=text, **arrays)
        write_atomically(self.path, buffer.getbuffer())

    def _load(self) -> None:
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as file:
                document = json.loads(file["document"].tobytes())
                self._entries = dict(document["fits"])
                self._arrays = {
                    key: file[f"probabilities_{number}"] for number, key in enumerate(self._entries)
                }
        except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"'{self.path}' is no checkpoint of histoclf, or it is damaged ({error}). Expected the name "
                "of a new file, or of a checkpoint; delete the file to start anew."
            ) from error
        self._check(document)

    def _check(self, document: dict[str, Any]) -> None:
        there = document["identity"] if document.get("format") == _FORMAT else {}
        names = [
            name for name in dict.fromkeys([*self.identity, *there]) if _differ(there, self.identity, name)
        ]
        if _ESTIMATOR in names:  # another one has other parameters
            names = [name for name in names if not name.startswith(_PARAMETER)]
        if names:
            told = [
                f"{name} ({_tell(there, name)} there, {_tell(self.identity, name)} here)" for name in names
            ]
            more = f"; and {len(told) - _MOST} more" if len(told) > _MOST else ""
            raise CheckpointError(
                f"The checkpoint '{self.path}' is of another evaluation. They differ in: "
                f"{'; '.join(told[:_MOST])}{more}. Go back to what it was made with, or name another file."
            )


def identify(
    estimator: Any,
    X: Any,
    labels: dict[str, np.ndarray | None],
    folds: list[tuple[np.ndarray, np.ndarray]],
    random_state: int,
) -> dict[str, str]:
    """Describe what the probabilities of an evaluation depend on.

    Parameters
    ----------
    estimator : classifier
        Not fitted.
    X : array-like of n_samples rows
        Images; files count by their content.
    labels : dict of str to (ndarray of n_samples rows or None)
        Labels, patients, ... by their name for people.
    folds : list of (train, test)
        Row numbers.
    random_state : int
        Seed of all that is drawn.

    Returns
    -------
    identity : dict of str to str
        Digests of data, and the parameters of the estimator.
    """
    return {
        "the version of histoclf": __version__,
        "the images X": _digest_of_images(X),
        **{name: "none" if rows is None else _digest_of_array(rows) for name, rows in labels.items()},
        "the folds": _digest(*(rows.astype(np.int64).tobytes() for fold in folds for rows in fold)),
        "random_state": str(random_state),
        _ESTIMATOR: type(estimator).__qualname__,
        **{
            f"{_PARAMETER}{name}": _describe(value)
            for name, value in sorted(estimator.get_params().items())
            if name.rpartition("__")[2] not in _WITHOUT_EFFECT
        },
    }


def _digest_of_images(X: Any) -> str:
    paths = as_paths(X)
    if paths is None:
        return _digest_of_array(np.asarray(X.toarray() if hasattr(X, "toarray") else X))
    # A file that cannot be read is told by its name; the fits will complain about it.
    return _digest(*(key or path for key, path in zip(file_keys(paths), paths, strict=True)))


def _digest_of_array(array: np.ndarray) -> str:
    return _digest(*(map(repr, array.tolist()) if array.dtype.hasobject else array_keys(array)))


def _describe(value: Any) -> str:
    """Write a parameter without what changes from process to process."""
    if isinstance(value, np.ndarray):
        return _digest_of_array(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_describe, value))}]"
    if isroutine(value) or isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "get_params"):
        return type(value).__qualname__  # its parameters stand beside it
    return _ADDRESS.sub("", repr(value))


def _rows(fit: Fit) -> str:
    return _digest(fit.train.astype(np.int64).tobytes(), fit.test.astype(np.int64).tobytes())


def _digest(*parts: str | bytes) -> str:
    state = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))  # so that no part can run on into the next
        state.update(data)
    return state.hexdigest()


def _differ(there: dict[str, str], here: dict[str, str], name: str) -> bool:
    return there.get(name) != here.get(name)


def _tell(identity: dict[str, str], name: str) -> str:
    text = identity.get(name, "nothing")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
