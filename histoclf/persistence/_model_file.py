"""Save a fitted classifier to one file and load it again, without pickle."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from histoclf.exceptions import ModelFileError
from histoclf.io._atomic import write_atomically
from histoclf.persistence._archive import pack, unpack
from histoclf.persistence._encoding import Encoder, decode_estimator
from histoclf.persistence._registry import ESTIMATORS

# To the next maintainer: raise this number in the same change that makes files which the version before
# cannot read (a new rule in _encoding.py and a new parameter of a classifier do, a new learned attribute does
# not), and keep reading all lower numbers. Three things must never change, or old versions can no longer tell
# a newer file from a broken one: the file is a zip, its comment ends in the SHA-256 of all bytes before it,
# and "model.json" has "format".
FORMAT = 1


def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save a fitted classifier to one file that holds no pickle.

    The file is a zip of a JSON document and NumPy arrays with a checksum. It holds the parameters and what
    was learned, no training pixels, and is written beside its place and then moved there, so that a crash
    cannot leave half a model.

    Parameters
    ----------
    estimator : HistoCNNClassifier, HistoTransferClassifier, HistoEmbedder or SlideContextClassifier
        Fitted, the last one around one of the first two. Of a search, save ``best_estimator_``.
    path : str or path-like
        File to write; an existing one is replaced.

    Raises
    ------
    TypeError
        If `estimator` is not a classifier of this package, or a parameter is of a type that has no rule.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    FileNotFoundError, IsADirectoryError
        If the folder does not exist, or `path` is one.

    See Also
    --------
    load_model : Load it again.

    Examples
    --------
    >>> import tempfile
    >>> from histoclf import HistoCNNClassifier, load_model, make_patches, save_model
    >>> made = make_patches(patches_per_patient=16, image_size=24, stain_shift=0, random_state=0)
    >>> clf = HistoCNNClassifier(
    ...     filters=(8, 16), normalization="batch", augmentation=None, learning_rate=0.01, batch_size=8,
    ...     epochs=6, random_state=0,
    ... ).fit(made.images, made.labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(clf, f"{folder}/breast.histoclf")
    ...     again = load_model(f"{folder}/breast.histoclf")
    >>> bool((again.predict_proba(made.images) == clf.predict_proba(made.images)).all())
    True
    """
    _check_class(estimator)
    check_is_fitted(estimator)
    _check_target(Path(path))
    encoder = Encoder()
    from histoclf import __version__

    heading = {"format": FORMAT, "histoclf": __version__, "class": type(estimator).__name__}
    document = heading | encoder.encode_estimator(estimator)
    write_atomically(Path(path), pack(document, encoder.arrays))


def load_model(path: str | os.PathLike[str]) -> Any:
    """Load a classifier that `save_model` wrote.

    Nothing in the file is run: it can only name classes of a fixed list and give them numbers, strings and
    arrays. A checksum is verified first.

    Parameters
    ----------
    path : str or path-like
        File to read.

    Returns
    -------
    estimator : HistoCNNClassifier, HistoTransferClassifier, HistoEmbedder or SlideContextClassifier
        As it was saved: same parameters, same probabilities to the last bit on the same machine.

    Raises
    ------
    ModelFileError
        If the file was cut short or altered, is no model file, or is from a newer version of histoclf.
    FileNotFoundError
        If there is no such file; it names the nearest one.

    See Also
    --------
    save_model : Write such a file, with an example.

    Examples
    --------
    >>> from histoclf import load_model
    >>> load_model("no_such_model.histoclf")
    Traceback (most recent call last):
    FileNotFoundError: ...
    """
    path = Path(path)
    _check_source(path)
    try:
        document, arrays = unpack(path.read_bytes())
        _check_format(document)
        return _rebuild(document, arrays)
    except ModelFileError as error:
        raise ModelFileError(f"{str(path)!r} cannot be loaded: {error}.") from error


def _rebuild(document: dict[str, Any], arrays: list[Any]) -> Any:
    """Put an estimator together; whatever does not fit is the file's fault."""
    try:
        estimator = decode_estimator(ESTIMATORS[document["class"]], document, arrays)
        check_is_fitted(estimator)
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(
            f"its content is not that of a model of this version ({type(error).__name__}: {error})"
        ) from error
    return estimator


def _check_class(estimator: Any) -> None:
    if ESTIMATORS.get(type(estimator).__name__) is not type(estimator):
        raise TypeError(
            f"save_model cannot store a {type(estimator).__name__}. Expected one of {sorted(ESTIMATORS)}: a "
            "file without pickle holds only what there is a written rule for. Of a search save "
            "best_estimator_; instead of a pipeline, fit the classifier by itself (it scales by itself) and "
            "save that; for anything else use joblib.dump(estimator, path), and load such files only from "
            "people you trust."
        )


def _check_target(path: Path) -> None:
    if path.is_dir():
        example = str(path / "model.histoclf")
        raise IsADirectoryError(
            f"{str(path)!r} is a folder. Expected the name of a file to write, such as {example!r}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to write {path.name!r} into; make it first."
        )


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
    if document.get("class") not in list(ESTIMATORS):  # it may be anything, hashable or not
        raise ModelFileError(
            f"it holds a {document.get('class')!r}, which is none of the classes that may be loaded: "
            f"{sorted(ESTIMATORS)}"
        )
