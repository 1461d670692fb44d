"""Whether a number about unseen patients can be true: copies and patients on both sides of a split."""

from histoclf.audit._duplicates import Duplicates, find_duplicates
from histoclf.audit._splitter import StratifiedPatientKFold

__all__ = ["Duplicates", "StratifiedPatientKFold", "find_duplicates"]
