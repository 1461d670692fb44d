"""Whether a number about unseen patients can be true: copies and patients on both sides of a split."""

from histoclf.audit._duplicates import Duplicates, find_duplicates

__all__ = ["Duplicates", "find_duplicates"]
