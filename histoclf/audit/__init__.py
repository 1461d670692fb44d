"""Whether a number about unseen patients can be true: copies and patients on both sides of a split."""

from histoclf.audit._duplicates import Duplicates, find_duplicates
from histoclf.audit._leakage import assert_no_leakage, audit_cv, audit_split
from histoclf.audit._report import LeakageReport
from histoclf.audit._splitter import StratifiedPatientKFold

__all__ = [
    "Duplicates",
    "LeakageReport",
    "StratifiedPatientKFold",
    "assert_no_leakage",
    "audit_cv",
    "audit_split",
    "find_duplicates",
]
