"""Save a fitted classifier to one file and load it again, without pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from histoclf.exceptions import ModelFileError
from histoclf.io._atomic import write_atomically
from histoclf.persistence._archive import pack
from histoclf.persistence._card import build_card
from histoclf.persistence._document import FORMAT, read_document
from histoclf.persistence._encoding import Encoder, decode_estimator
from histoclf.persistence._registry import ESTIMATORS


def save_model(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    evaluation: Any = None,
    card: dict[str, str] | None = None,
) -> None:
    """Save a fitted classifier to one file that holds no pickle.

    The file is a zip of a JSON document and NumPy arrays with a checksum. It holds the parameters and what
    was learned, no training pixels, and is written beside its place and then moved there, so that a crash
    cannot leave half a model.

    In it is a model card [1]_: classes, patients and patches it was trained on, with a fingerprint of the
    images; what it takes as input; versions of packages; the licence of a backbone; that it is not for
    clinical use; and scores with intervals and baselines, if `evaluation` is given. `read_card` and
    ``histoclf show`` read it. The card names neither patients nor files.

    Parameters
    ----------
    estimator : HistoCNNClassifier, HistoTransferClassifier, HistoEmbedder or SlideContextClassifier
        Fitted, the last one around one of the first two. Of a search, save ``best_estimator_``.
    path : str or path-like
        File to write; an existing one is replaced.
    evaluation : Evaluation, default=None
        What :func:`histoclf.evaluate` returned for this kind of classifier, for the card; or the
        ``"evaluation"`` of a card that was read. None says in the card that nothing is known.
    card : dict of str to str, default=None
        Sections of the card in your own words: "intended_use", "factors", "ethical_considerations",
        "caveats".

    Raises
    ------
    TypeError
        If `estimator` is not a classifier of this package, or a parameter is of a type that has no rule.
    ValueError
        If the evaluation is of other classes, or the card has no such section.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    FileNotFoundError, IsADirectoryError
        If the folder does not exist, or `path` is one.

    See Also
    --------
    load_model : Load it again.
    read_card : Read the card alone.

    References
    ----------
    .. [1] M. Mitchell et al., "Model cards for model reporting", FAT* 2019.

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

    heading = {
        "format": FORMAT,
        "histoclf": __version__,
        "class": type(estimator).__name__,
        "card": build_card(estimator, evaluation, card),
    }
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
    return read_document(path, _rebuild)


def _rebuild(document: dict[str, Any], arrays: list[Any]) -> Any:
    """Put an estimator together; whatever does not fit is the file's fault."""
    if document.get("class") not in list(ESTIMATORS):  # it may be anything, hashable or not
        raise ModelFileError(
            f"it holds a {document.get('class')!r}, which is none of the classes that may be loaded: "
            f"{sorted(ESTIMATORS)}"
        )
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
