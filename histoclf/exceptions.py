"""Errors and warnings that histoclf raises on purpose.

Each inherits from the standard error a caller would already catch, so that code written for
scikit-learn (``except ValueError``) keeps working.
"""


class ImageReadError(ValueError, OSError):
    """Image files that could not be decoded; the message names every one of them.

    Attributes
    ----------
    failures : dict of str to str
        Path of each unreadable file, and why it could not be read.
    """

    def __init__(self, message: str, failures: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.failures = dict(failures or {})

    def __reduce__(self):
        # Exceptions cross process borders under n_jobs > 1; the default would lose ``failures``.
        return type(self), (str(self), self.failures)


class PatchNameError(ValueError):
    """A folder of patches, or the names in it, do not say what was asked of them."""


class InputContractError(ValueError):
    """Images do not have the kind, value range, size or channels they must have."""


class SplitError(ValueError):
    """No honest split into a training and a validation part exists for this data."""


class LeakageError(ValueError):
    """Something of the test part stands in the training part.

    Attributes
    ----------
    report : histoclf.audit.LeakageReport
        What it is.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self):
        return type(self), (str(self), self.report)


class LabelError(ValueError):
    """Labels that cannot be understood; the message names them."""


class ModelFileError(ValueError):
    """A model file is truncated, altered, from a newer format, or no model file at all."""


class CheckpointError(ValueError):
    """A checkpoint of an evaluation is damaged, or belongs to other data, folds or settings."""


class CollapsedModelWarning(UserWarning):
    """The fitted network is no better than always answering the majority class."""


class SkippedImagesWarning(UserWarning):
    """Unreadable images were left out because ``on_error="skip"``."""


class UnfairSplitWarning(UserWarning):
    """Folds cannot be alike: a patient holds most of a class, or a class lives in too few patients."""


class MissingDependencyError(ImportError):
    """A feature needs a package that is not installed; the message names the extra that brings it."""
