"""Scores in which patients count, not patches: a patient with a thousand patches is still one patient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from histoclf.metrics._weighted import one_against_rest


def patient_accuracy(y: np.ndarray, predicted: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Compute the accuracy within each patient.

    Parameters
    ----------
    y, predicted : ndarray of shape (n_samples,), int
        True and predicted class numbers.
    groups : ndarray of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    accuracies : ndarray of shape (n_patients,)
        0-1, in the order of ``np.unique(groups)``.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import patient_accuracy
    >>> y, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])
    >>> patient_accuracy(y, predicted, np.array(["a", "a", "a", "b"])).tolist()
    [1.0, 0.0]
    """
    return np.array([np.mean(y[rows] == predicted[rows]) for rows in _rows_of_patients(groups)])


def within_patient_auc(y: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Compute the area under the ROC curve within each patient.

    A model that only tells patients apart, by their stain, has 0.5 here. Patients with a single class have no
    such area. Of several classes, the area of a patient is the mean over the classes that the patient has,
    each against the rest.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    groups : ndarray of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    areas : ndarray of shape (n_patients,)
        0-1, of the patients who have more than one class, in the order of ``np.unique(groups)``.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import within_patient_auc
    >>> p = np.array([0.1, 0.2, 0.8, 0.9, 0.3])  # right within "a" and "c", and "b" has one class only
    >>> within_patient_auc(
    ...     np.array([0, 1, 0, 1, 1]), np.stack([1 - p, p], axis=1), np.array(["a", "a", "c", "c", "b"])
    ... ).tolist()
    [1.0, 1.0]
    """
    areas = []
    for rows in _rows_of_patients(groups):
        of_classes = one_against_rest(y[rows], probabilities[rows], np.ones((1, len(rows))))[0]
        if not np.isnan(of_classes).all():
            areas.append(np.nanmean(of_classes))
    return np.array(areas)


def patient_probabilities(
    y: np.ndarray, probabilities: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Average the probabilities of each patient, where every patient has one class.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int
        True class numbers.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    groups : ndarray of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    y_patients : ndarray of shape (n_patients,), int
        Class of each patient, in the order of ``np.unique(groups)``.
    mean_probabilities : ndarray of shape (n_patients, n_classes)
        Mean over the patient's samples.
        Instead of both, None if a patient holds several classes: then a patient has no class, and a majority
        vote would invent one.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import patient_probabilities
    >>> p = np.array([[0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    >>> y_patients, mean = patient_probabilities(np.array([0, 0, 1]), p, np.array(["a", "a", "b"]))
    >>> y_patients.tolist(), mean.tolist()
    ([0, 1], [[0.5, 0.5], [0.0, 1.0]])
    """
    patients = list(_rows_of_patients(groups))
    if any(np.ptp(y[rows]) for rows in patients):
        return None
    return (
        np.array([y[rows[0]] for rows in patients]),
        np.array([probabilities[rows].mean(axis=0) for rows in patients]),
    )


def patient_votes(probabilities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Count the patches of each patient that are answered with each class.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    groups : ndarray of shape (n_samples,)
        Patient of each sample.

    Returns
    -------
    shares : ndarray of shape (n_patients, n_classes)
        Shares of the votes, in the order of ``np.unique(groups)``. Where as many patches vote for several
        classes, the first of them has the largest share.

    Examples
    --------
    >>> import numpy as np
    >>> from histoclf.metrics import patient_votes
    >>> p = np.array([[0.4, 0.6], [0.4, 0.6], [1.0, 0.0]])  # two votes against one, though a sure one
    >>> patient_votes(p, np.array(["a", "a", "a"])).round(2).tolist()
    [[0.33, 0.67]]
    """
    votes = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    return np.array([votes[rows].mean(axis=0) for rows in _rows_of_patients(groups)])


def _rows_of_patients(groups: np.ndarray) -> Iterator[np.ndarray]:
    _, patient_of = np.unique(groups, return_inverse=True)
    order = np.argsort(patient_of, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(patient_of[order])) + 1)
